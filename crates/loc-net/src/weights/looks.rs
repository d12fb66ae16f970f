//! The weights of a model with two looks, in one file. The second look has the layers of the first, for another input. Its
//! tensors have a prefix; those that equal the first look's are stored once.

use super::Weights;
use crate::Network;

/// The prefix of the second look's own tensors.
const SECOND: &str = "look2.";

impl Weights {
    /// Takes the weights of both looks apart: `second` is the network of the second look. A tensor that belongs to neither
    /// stays with the first look.
    #[must_use]
    pub fn split_looks(mut self, second: &Network) -> (Self, Self) {
        let of_second = second.params().iter().filter_map(|param| {
            let own = self.0.remove(&format!("{SECOND}{}", param.name));
            own.or_else(|| self.0.get(&param.name).cloned()).map(|weight| (param.name.clone(), weight))
        });
        let of_second = Self(of_second.collect());
        (self, of_second)
    }

    /// Adds the weights of the second look to those of the first.
    #[must_use]
    pub fn join_looks(mut self, second: Self) -> Self {
        for (name, weight) in second.0 {
            if self.0.get(&name) != Some(&weight) {
                self.0.insert(format!("{SECOND}{name}"), weight);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use crate::{Backbone, Head, InputShape, NetworkConfig, Normalization, Weight, Weights};

    #[test]
    fn what_both_looks_share_is_stored_once() {
        let input = |side| InputShape { height: side, width: side };
        let config = NetworkConfig {
            second_look: Some(input(130)),
            ..NetworkConfig::new(input(124), 2, Backbone::Compact, Head::Edges)
        };
        let build = |config: &NetworkConfig| config.build(&Normalization::IDENTITY).unwrap();
        let (one, two) = (build(&config), build(&config.second().unwrap()));
        assert_eq!(two.input().0, [3, 130, 130]);
        let weights = |network: &crate::Network, value: f32| {
            let weights = network.params().iter().map(|param| {
                let backbone = param.layer < network.backbone_layers();
                let len = param.shape.iter().product();
                let data = vec![if backbone { 0.5 } else { value }; len];
                (param.name.clone(), Weight { shape: param.shape.clone(), data })
            });
            Weights(weights.collect())
        };
        let (first, second) = (weights(&one, 1.0), weights(&two, 2.0));
        let joined = first.clone().join_looks(second.clone());
        assert!(joined.0.contains_key("look2.class_out.bias") && !joined.0.contains_key("look2.conv1.bias"));
        assert_eq!(joined.split_looks(&two), (first.clone(), second));
        let mut more = first;
        more.0.insert("look2.unknown".into(), Weight { shape: vec![1], data: vec![0.0] });
        let (first, second) = more.split_looks(&two);
        assert!(first.check(&one).unwrap_err().to_string().contains("look2.unknown"));
        assert_eq!(
            second.values("class_out.bias"),
            [1.0, 1.0],
            "the first look's where it has none of its own"
        );
    }
}
