//! Buffers for the parameter gradients that the kernels compute. Candle's gradient store is not used for them: it would
//! allocate zeros and a sum for each parameter, and start its own threads for the sums.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The place of a parameter's gradient in a buffer: it ends where the next one starts.
#[derive(Debug)]
pub(crate) struct ParamRange {
    pub(crate) name: String,
    pub(crate) start: usize,
}

/// The parameters whose gradients are in one buffer.
pub(crate) type ParamRanges = Arc<[ParamRange]>;

/// Receives gradients from backward passes, and reuses their buffers.
#[derive(Debug, Clone, Default)]
pub(crate) struct GradientBuffers(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// The gradients received so far, while they are collected.
    gradients: Mutex<Option<Vec<Gradient>>>,
    unused: Mutex<Vec<Gradient>>,
    /// Locked while gradients are collected: one backward pass at a time.
    collecting: Mutex<()>,
}

#[derive(Debug)]
struct Gradient {
    params: ParamRanges,
    values: Vec<f32>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl GradientBuffers {
    /// Calls `write` to fill a buffer of `len` values with the gradients of these parameters. Discards it if no
    /// `collect` is running.
    pub(crate) fn put(&self, params: &ParamRanges, len: usize, write: impl FnOnce(&mut [f32])) {
        let unused = {
            let mut unused = lock(&self.0.unused);
            let known = unused.iter().position(|g| Arc::ptr_eq(&g.params, params) && g.values.len() == len);
            known.map(|i| unused.swap_remove(i))
        };
        let mut gradient =
            unused.unwrap_or_else(|| Gradient { params: Arc::clone(params), values: vec![0.0; len] });
        write(&mut gradient.values);
        let mut gradients = lock(&self.0.gradients);
        match &mut *gradients {
            None => lock(&self.0.unused).push(gradient),
            Some(gradients) => match gradients.iter_mut().find(|g| Arc::ptr_eq(&g.params, params)) {
                // The loss has several passes through these parameters: the gradients are summed.
                Some(sum) => {
                    sum.values.iter_mut().zip(&gradient.values).for_each(|(a, b)| *a += b);
                    lock(&self.0.unused).push(gradient);
                }
                None => gradients.push(gradient),
            },
        }
    }

    /// Runs a backward pass and returns its result, with the gradients that it passed to `put`.
    pub(crate) fn collect<R, E>(&self, backward: impl FnOnce() -> Result<R, E>) -> Result<(R, Collected), E> {
        let _guard = lock(&self.0.collecting);
        *lock(&self.0.gradients) = Some(Vec::new());
        let result = backward();
        let gradients = lock(&self.0.gradients).take().unwrap_or_default();
        let collected = Collected { buffers: self.clone(), gradients };
        Ok((result?, collected))
    }
}

/// The gradients of one backward pass.
#[derive(Debug)]
pub(crate) struct Collected {
    buffers: GradientBuffers,
    gradients: Vec<Gradient>,
}

impl Collected {
    /// Iterates over the buffers.
    pub(crate) fn buffers_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.gradients.iter_mut().map(|gradient| &mut gradient.values[..])
    }

    /// Returns the gradient of a parameter, row-major.
    pub(crate) fn get(&self, name: &str) -> Option<&[f32]> {
        self.gradients.iter().find_map(|Gradient { params, values }| {
            let index = params.iter().position(|param| param.name == name)?;
            let end = params.get(index + 1).map_or(values.len(), |next| next.start);
            values.get(params[index].start..end)
        })
    }
}

impl Drop for Collected {
    fn drop(&mut self) {
        lock(&self.buffers.0.unused).append(&mut self.gradients);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_are_collected_summed_and_reset() {
        let buffers = GradientBuffers::default();
        let params: ParamRanges =
            Arc::from([("w", 0), ("b", 2)].map(|(name, start)| ParamRange { name: name.to_owned(), start }));
        let put = |v: f32| buffers.put(&params, 3, |values| values.copy_from_slice(&[v, 2.0 * v, 3.0 * v]));
        put(100.0);
        let run = || -> Result<(), String> {
            put(1.0);
            put(10.0);
            Ok(())
        };
        for _ in 0..2 {
            let (_, collected) = buffers.collect(run).unwrap();
            assert_eq!(collected.get("w").unwrap(), [11.0, 22.0]);
            assert_eq!(collected.get("b").unwrap(), [33.0]);
            assert!(collected.get("v").is_none());
        }
        assert!(buffers.collect(|| Err::<(), _>("failed")).is_err());
    }
}
