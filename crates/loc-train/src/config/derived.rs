//! Values that follow from several keys: folds, copies, losses, and the part of a configuration that affects the
//! result.

use loc_infer::{Decode, ImageSize, InputSpec};
use loc_model::init::Scheme;
use loc_model::loss::LossConfig;
use loc_net::{InputShape, NetworkConfig};

use crate::config::choices::{Initialisation, Schedule};
use crate::config::keys::Config;
use crate::digest::sha256;

impl Config {
    /// How photos become the network's input; without its normalization, which may depend on the photos.
    #[must_use]
    pub fn input(&self) -> InputSpec {
        let size = ImageSize { width: self.imgsz, height: self.imgsz };
        // A second look reads parts of the photo at full size.
        let decode = if self.looks == 1 { Decode::Reduced } else { Decode::Full };
        InputSpec { size, fit: self.fit, filter: self.filter, decode, ..InputSpec::default() }
    }

    /// The network, for photos with this input and so many classes.
    #[must_use]
    pub fn network(&self, input: &InputSpec, classes: usize) -> NetworkConfig {
        let network = NetworkConfig::new(input_shape(input), classes, self.backbone, self.head);
        NetworkConfig { class_features: self.class_features, ..network }
    }

    /// Returns the fold as (I, K), if there is a valid one.
    #[must_use]
    pub fn fold_of(&self) -> Option<(usize, usize)> {
        let (i, k) = self.fold.as_ref()?.split_once('/')?;
        let (i, k) = (i.trim().parse().ok()?, k.trim().parse().ok()?);
        (k >= 2 && (1..=k).contains(&i)).then_some((i, k))
    }

    /// Returns the number of copies of each photo whose features a frozen backbone computes, for so many training
    /// photos.
    #[must_use]
    pub fn copies_of(&self, photos: usize) -> usize {
        const MOST: usize = 40;
        self.copies.max(self.views.div_ceil(photos.max(1)).min(MOST))
    }

    /// Returns whether the number of epochs affects steps before the last.
    pub(crate) fn depends_on_last_epoch(&self) -> bool {
        self.schedule == Schedule::Cosine || self.no_augment_epochs > 0
    }

    /// Returns whether an epoch (from 1) is one of the last without augmentation.
    pub(crate) fn is_unaugmented(&self, epoch: usize) -> bool {
        epoch + self.no_augment_epochs > self.schedule_part(epoch).1
    }

    /// Returns the number of epochs before the schedule's part that contains an epoch, and at that part's end.
    pub(crate) fn schedule_part(&self, epoch: usize) -> (usize, usize) {
        let begin = self.restarts.iter().rev().find(|r| **r < epoch);
        let end = self.restarts.iter().find(|r| **r >= epoch);
        (begin.copied().unwrap_or(0), end.copied().unwrap_or(self.epochs))
    }

    /// Returns this configuration with fewer epochs, and a schedule of as many: its steps, restarts and last epochs without
    /// augmentation are scaled down, and the warm-up takes at most a quarter.
    #[must_use]
    pub(crate) fn shortened_to(&self, epochs: usize) -> Self {
        if epochs >= self.epochs {
            return self.clone();
        }
        let share = epochs as f64 / self.epochs as f64;
        let scaled = |epochs: usize| (epochs as f64 * share).round() as usize;
        let mut restarts: Vec<usize> = self.restarts.iter().map(|epoch| scaled(*epoch)).collect();
        restarts.dedup();
        restarts.retain(|restart| (1..epochs).contains(restart));
        Self {
            epochs,
            warmup: self.warmup.min(epochs as f64 / 4.0),
            step_every: scaled(self.step_every).max(1),
            no_augment_epochs: scaled(self.no_augment_epochs),
            restarts,
            ..self.clone()
        }
    }

    /// Returns the losses for loc-model.
    #[must_use]
    pub fn loss(&self) -> LossConfig {
        LossConfig {
            class: self.class_loss,
            label_smoothing: self.label_smoothing,
            class_weights: self.class_weights.clone(),
            boxes: self.box_loss,
            beta: self.smooth_l1_beta,
            overlap: self.overlap_loss,
            overlap_weight: self.overlap_weight,
            edges_weight: self.edges_weight,
            class_weight: self.class_weight,
            box_weight: self.box_weight,
            presence_weight: self.presence_weight,
        }
    }

    /// Returns the initialization scheme for loc-model.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        match self.initialisation {
            Initialisation::PyTorch => Scheme::PyTorch,
            Initialisation::He => Scheme::He,
        }
    }

    /// Returns the values that affect the result of a training, as TOML: all but paths, threads and the like. Data set
    /// and split have digests of their own.
    #[must_use]
    pub fn result_affecting(&self) -> toml::Table {
        let mut table = toml::Table::try_from(self).unwrap_or_default();
        for key in Self::KEYS.iter().filter(|key| !key.affects_result) {
            table.remove(key.name);
        }
        table
    }

    /// SHA-256 of [`Config::result_affecting`], 64 hex digits: which recipe made a model.
    #[must_use]
    pub fn digest(&self) -> String {
        sha256(self.result_affecting().to_string().as_bytes())
    }
}

/// Returns the network's input shape.
pub(crate) fn input_shape(input: &InputSpec) -> InputShape {
    InputShape { height: input.size.height as usize, width: input.size.width as usize }
}

#[cfg(test)]
mod tests {
    use loc_infer::Decode;

    use super::Config;

    #[test]
    fn fewer_epochs_have_a_schedule_of_their_own() {
        let config = Config {
            epochs: 150,
            warmup: 2.0,
            step_every: 50,
            no_augment_epochs: 15,
            restarts: vec![1, 60, 149],
            ..Config::default()
        };
        let short = config.shortened_to(10);
        assert_eq!((short.epochs, short.warmup, short.step_every, short.no_augment_epochs), (10, 2.0, 3, 1));
        assert_eq!(short.restarts, [4], "those that are left lie within");
        let shorter = config.shortened_to(4);
        assert_eq!((shorter.warmup, shorter.step_every), (1.0, 1));
        shorter.validate().unwrap();
        assert_eq!(config.shortened_to(150), config);
        assert_eq!(config.shortened_to(900), config, "never more");
    }

    #[test]
    fn photos_of_two_looks_are_decoded_in_full() {
        let decode = |looks| Config { looks, ..Config::default() }.input().decode;
        assert_eq!([decode(1), decode(2)], [Decode::Reduced, Decode::Full]);
    }

    #[test]
    fn small_sets_are_seen_oftener_but_not_without_end() {
        let config = Config { copies: 6, views: 5000, ..Config::default() };
        for (photos, copies) in [(960, 6), (160, 32), (119, 40), (1, 40), (0, 40)] {
            assert_eq!(config.copies_of(photos), copies, "of {photos} photos");
        }
        assert_eq!(Config { views: 0, ..config }.copies_of(10), 6);
    }
}
