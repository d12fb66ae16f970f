//! Buffers for the parameter gradients that the kernels compute. Not Candle's gradient store, which would allocate zeros and
//! a sum for each parameter and start threads of its own for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Parameters whose gradients are in one buffer: each one's name and start index.
pub(crate) type Names = Arc<[(String, usize)]>;

/// Receives gradients from backward passes, and reuses their buffers.
#[derive(Debug, Clone, Default)]
pub(crate) struct GradientBuffers(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// While gradients are collected, those received so far.
    gradients: Mutex<Option<Vec<Gradient>>>,
    spare: Mutex<Vec<Gradient>>,
    /// Locked while gradients are collected, by one backward pass at a time.
    alone: Mutex<()>,
}

#[derive(Debug)]
struct Gradient {
    names: Names,
    values: Vec<f32>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl GradientBuffers {
    /// Calls `write` to fill a buffer of `len` values with the gradients of these parameters. Discards it if no `collect` is
    /// running.
    pub(crate) fn put(&self, names: &Names, len: usize, write: impl FnOnce(&mut [f32])) {
        let spare = {
            let mut spare = lock(&self.0.spare);
            let known = spare.iter().position(|g| Arc::ptr_eq(&g.names, names) && g.values.len() == len);
            known.map(|i| spare.swap_remove(i))
        };
        let mut gradient =
            spare.unwrap_or_else(|| Gradient { names: Arc::clone(names), values: vec![0.0; len] });
        write(&mut gradient.values);
        let mut gradients = lock(&self.0.gradients);
        match &mut *gradients {
            None => lock(&self.0.spare).push(gradient),
            Some(gradients) => match gradients.iter_mut().find(|g| Arc::ptr_eq(&g.names, names)) {
                // The same layer, used in several passes of one loss.
                Some(sum) => {
                    sum.values.iter_mut().zip(&gradient.values).for_each(|(a, b)| *a += b);
                    lock(&self.0.spare).push(gradient);
                }
                None => gradients.push(gradient),
            },
        }
    }

    /// Runs a backward pass and returns its result with the gradients that it put here.
    pub(crate) fn collect<R, E>(&self, backward: impl FnOnce() -> Result<R, E>) -> Result<(R, Collected), E> {
        let _alone = lock(&self.0.alone);
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
    /// Returns the gradient of a parameter, row-major.
    pub(crate) fn get(&self, name: &str) -> Option<&[f32]> {
        self.gradients.iter().find_map(|Gradient { names, values }| {
            let index = names.iter().position(|(known, _)| known == name)?;
            let end = names.get(index + 1).map_or(values.len(), |(_, start)| *start);
            values.get(names[index].1..end)
        })
    }
}

impl Drop for Collected {
    fn drop(&mut self) {
        lock(&self.buffers.0.spare).append(&mut self.gradients);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_are_collected_summed_and_reset() {
        let buffers = GradientBuffers::default();
        let names: Names = Arc::from([("w".to_owned(), 0), ("b".to_owned(), 2)]);
        let put = |v: f32| buffers.put(&names, 3, |values| values.copy_from_slice(&[v, 2.0 * v, 3.0 * v]));
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
        assert!(buffers.collect(|| Err::<(), _>("no luck")).is_err());
    }
}
