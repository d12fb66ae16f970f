//! The ranges of a configuration's values. The values: `config`.

use loc_data::{Exif, Format, MultiObjectPolicy, RangeError};

use crate::config::choices::HeadWarmup;
use crate::config::keys::Config;
use crate::error::TrainError;

impl Config {
    /// Checks every value, and those that depend on each other. Opens no file.
    ///
    /// # Errors
    ///
    /// [`TrainError::Config`] with the key, its value and what is allowed.
    pub fn validate(&self) -> Result<(), TrainError> {
        self.validate_alone()?;
        let Some(first) = self.head_warmup()? else { return Ok(()) };
        let wrong = match first.validate_alone() {
            Err(error) => error.to_string(),
            Ok(()) if first.backbone_lr > 0.0 => "it does not freeze the backbone".into(),
            Ok(()) if first.backbone != self.backbone => "it has another backbone".into(),
            Ok(()) => return Ok(()),
        };
        let name = self.begin.as_ref().map_or("none", HeadWarmup::name);
        Err(TrainError::Config {
            origin: "configuration".into(),
            reason: format!("begin is {name}: {wrong}"),
        })
    }

    /// Checks the values, but for those of the head warm-up.
    fn validate_alone(&self) -> Result<(), TrainError> {
        let fail = |key: &str, value: &dyn std::fmt::Display, allowed: &str| {
            Err(TrainError::Config {
                origin: "configuration".into(),
                reason: format!("{key} is {value}: {allowed}"),
            })
        };
        let above = |v: f64| v.is_finite() && v > 0.0;
        let from = |v: f64| v.is_finite() && v >= 0.0;
        let below_one = |v: f64| (0.0..1.0).contains(&v);
        let share = |v: f64| (0.0..=1.0).contains(&v);
        let numbers = [
            ("lr", self.lr, above(self.lr), "it must be above 0"),
            ("momentum", self.momentum, below_one(self.momentum), "it must be 0 or more, below 1"),
            ("weight_decay", self.weight_decay, from(self.weight_decay), "it must be 0 or more"),
            ("class_weight", self.class_weight, from(self.class_weight), "it must be 0 or more"),
            ("box_weight", self.box_weight, from(self.box_weight), "it must be 0 or more"),
            ("overlap_weight", self.overlap_weight, from(self.overlap_weight), "it must be 0 or more"),
            ("edges_weight", self.edges_weight, from(self.edges_weight), "it must be 0 or more"),
            ("backbone_lr", self.backbone_lr, share(self.backbone_lr), "it must be 0 to 1"),
            ("label_smoothing", self.label_smoothing, share(self.label_smoothing), "it must be 0 to 1"),
            ("smooth_l1_beta", self.smooth_l1_beta, above(self.smooth_l1_beta), "it must be above 0"),
            ("warmup", self.warmup, from(self.warmup), "it must be 0 or more"),
            ("lr_final", self.lr_final, share(self.lr_final), "it must be 0 to 1"),
            (
                "step_factor",
                self.step_factor,
                above(self.step_factor) && self.step_factor <= 1.0,
                "it must be above 0, at most 1",
            ),
            ("clip", self.clip, from(self.clip), "it must be 0 or more"),
            ("average", self.average, below_one(self.average), "it must be 0 or more, below 1"),
            ("begin_share", self.begin_share, below_one(self.begin_share), "it must be 0 or more, below 1"),
            ("features_weight", self.features_weight, from(self.features_weight), "it must be 0 or more"),
            ("dropout", self.dropout, below_one(self.dropout), "it must be 0 or more, below 1"),
            ("val", self.val, self.val > 0.0 && self.val < 1.0, "it must be above 0 and below 1"),
        ];
        if let Some((key, value, _, allowed)) = numbers.iter().find(|(_, _, fits, _)| !fits) {
            return fail(key, value, allowed);
        }
        let counts = [
            ("epochs", self.epochs),
            ("least_steps", self.least_steps),
            ("batch", self.batch),
            ("step_every", self.step_every),
            ("copies", self.copies),
        ];
        if let Some((key, value)) = counts.iter().find(|(_, value)| *value == 0) {
            return fail(key, value, "it must be at least 1");
        }
        let parts: Vec<usize> =
            std::iter::once(0).chain(self.restarts.iter().copied()).chain([self.epochs]).collect();
        if !self.restarts.is_empty() && !parts.is_sorted_by(|a, b| a < b) {
            let allowed = format!("growing numbers from 1, all below epochs ({}), are needed", self.epochs);
            return fail("restarts", &format!("{:?}", self.restarts), &allowed);
        }
        if let Some(weight) = self.class_weights.iter().find(|w| !above(**w)) {
            return fail("class_weights", weight, "each must be above 0");
        }
        if let Err(RangeError { key, value, range: allowed }) = self.augment.check() {
            return fail(&format!("augment.{key}"), &value, allowed);
        }
        if let Some(fold) = &self.fold
            && self.fold_of().is_none()
        {
            return fail("fold", fold, "I/K with K of 2 or more and I from 1 to K is needed");
        }
        if self.nesterov && self.momentum == 0.0 {
            return fail("nesterov", &self.nesterov, "it needs a momentum above 0");
        }
        if self.objects.parse::<MultiObjectPolicy>().is_err() {
            return fail("objects", &self.objects, "`largest`, `skip` and `error` are known");
        }
        if let Some(exif) = self.exif.as_ref().filter(|exif| exif.parse::<Exif>().is_err()) {
            return fail("exif", exif, "`as-stored` and `upright` are known");
        }
        match &self.data_format {
            Some(format) if format.parse::<Format>().is_err() => {
                fail("data_format", format, "`voc` and `csv` are known")
            }
            _ => Ok(()),
        }
    }
}
