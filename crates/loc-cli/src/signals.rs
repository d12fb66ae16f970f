//! SIGINT and SIGTERM: the first requests a stop of the training, a second ends the process at once. SIGXFSZ, which comes with a
//! write past the limit of file sizes, ends nothing: the write fails and says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use loc_train::Stop;
#[cfg(unix)]
use signal_hook::consts::SIGXFSZ;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Which signal came, if one did.
pub(crate) struct Signals(Arc<AtomicUsize>);

/// Lets both signals ask for a stop.
pub(crate) fn listen(stop: &Stop) -> std::io::Result<Signals> {
    let came = Arc::new(AtomicUsize::new(0));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the second signal finds the flag that the first one set.
        let armed: Arc<AtomicBool> = stop.flag();
        flag::register_conditional_shutdown(signal, 128 + signal, armed)?;
        flag::register_usize(signal, Arc::clone(&came), usize::try_from(signal).unwrap_or(0))?;
        flag::register(signal, stop.flag())?;
    }
    Ok(Signals(came))
}

/// Turns the signal of a file that grows past its limit into an error of the write.
#[cfg(unix)]
pub(crate) fn survive_file_limits() -> std::io::Result<()> {
    // Any handler will do: the system call then returns EFBIG.
    flag::register(SIGXFSZ, Arc::default()).map(drop)
}

/// Elsewhere there is no such signal.
#[cfg(not(unix))]
pub(crate) fn survive_file_limits() -> std::io::Result<()> {
    Ok(())
}

impl Signals {
    /// The number of the signal that came.
    pub(crate) fn came(&self) -> Option<u8> {
        u8::try_from(self.0.load(Ordering::SeqCst)).ok().filter(|n| *n != 0)
    }
}
