//! Checks of a configuration's values: the ranges of the keys' declarations, and the values that depend on each other.

use loc_data::keys::KeyError;
use loc_net::{ClassFeatures, Head};

use crate::config::choices::HeadWarmup;
use crate::config::keys::Config;
use crate::error::TrainError;

impl Config {
    /// Checks every value, those of the head warm-up too. Opens no file.
    ///
    /// # Errors
    ///
    /// [`TrainError::Config`] with the key, its value and what is allowed.
    pub fn validate(&self) -> Result<(), TrainError> {
        self.check().map_err(invalid)?;
        let Some(first) = self.head_warmup()? else { return Ok(()) };
        let wrong = match first.check() {
            Err(error) => error.to_string(),
            Ok(()) if first.backbone_lr > 0.0 => "it does not freeze the backbone".into(),
            Ok(()) if first.backbone != self.backbone => "it has another backbone".into(),
            Ok(()) => return Ok(()),
        };
        let name = self.head_warmup.as_ref().map_or("none", HeadWarmup::name);
        Err(invalid(error("head_warmup", name, wrong)))
    }

    /// Checks the values but for those of the head warm-up.
    fn check(&self) -> Result<(), KeyError> {
        self.check_ranges()?;
        self.augment.check().map_err(|e| KeyError { key: format!("augment.{}", e.key), ..e })?;
        let texts = [
            ("objects", Some(&self.objects)),
            ("cache", Some(&self.cache)),
            ("exif", self.exif.as_ref()),
            ("unlabelled", self.unlabelled.as_ref()),
        ];
        for (name, text) in texts.into_iter().chain([("data_format", self.data_format.as_ref())]) {
            if let (Some(key), Some(text)) = (Self::key(name), text) {
                key.check_text(text)?;
            }
        }
        let parts: Vec<usize> =
            std::iter::once(0).chain(self.restarts.iter().copied()).chain([self.epochs]).collect();
        if !self.restarts.is_empty() && !parts.is_sorted_by(|a, b| a < b) {
            let allowed =
                format!("increasing numbers from 1, all below epochs ({}), are needed", self.epochs);
            return Err(error("restarts", format!("{:?}", self.restarts), allowed));
        }
        if let Some(fold) = self.fold.as_ref().filter(|_| self.fold_of().is_none()) {
            return Err(error("fold", fold, "I/K with K of 2 or more and I from 1 to K is needed"));
        }
        if self.class_features == ClassFeatures::Region {
            let whole =
                |what| error("class_features", "region", format!("{what} needs features of the whole photo"));
            if self.head == Head::Mlp {
                return Err(whole("the head `mlp`"));
            }
            if self.feature_distill_weight > 0.0 {
                return Err(whole("`feature_distill_weight`"));
            }
        }
        let has_first = self.head_warmup.is_some() || self.init.is_some() || self.backbone_lr == 0.0;
        if self.looks == 2 && !has_first {
            let allowed = "a second look needs a first: `head_warmup`, `init`, or `backbone_lr = 0`";
            return Err(error("looks", "2", allowed));
        }
        if self.nesterov && self.momentum == 0.0 {
            return Err(error("nesterov", "true", "it needs a momentum above 0"));
        }
        Ok(())
    }
}

fn error(key: &str, value: impl Into<String>, allowed: impl Into<String>) -> KeyError {
    KeyError { key: key.into(), value: value.into(), allowed: allowed.into() }
}

fn invalid(error: KeyError) -> TrainError {
    TrainError::config("configuration", error)
}

#[cfg(test)]
mod tests {
    use loc_data::{Exif, Format, MultiObjectPolicy, PhotoCache};

    use super::*;

    #[test]
    fn every_text_that_a_key_takes_is_known_where_it_is_used() {
        let all = |name: &str, known: &dyn Fn(&str) -> bool| {
            let texts = Config::key(name).unwrap().texts;
            assert!(!texts.is_empty() && texts.iter().all(|text| known(text)), "{name}: {texts:?}");
        };
        all("objects", &|text| text.parse::<MultiObjectPolicy>().is_ok());
        all("cache", &|text| text.parse::<PhotoCache>().is_ok());
        all("exif", &|text| text.parse::<Exif>().is_ok());
        all("data_format", &|text| text.parse::<Format>().is_ok());
        for key in Config::KEYS.iter().filter(|key| !key.texts.is_empty()) {
            let mut config = Config::default();
            let table: toml::Table = toml::from_str(&format!("{} = \"other\"", key.name)).unwrap();
            config = table.try_into().unwrap_or(config);
            assert!(config.validate().is_err(), "{} takes any text", key.name);
        }
    }
}
