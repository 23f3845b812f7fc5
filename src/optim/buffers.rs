//! What an optimizer remembers of each parameter.

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::params::{ParamId, Params};
use crate::shape::Shape;

/// A number for each of a parameter's, from the first gradient on; the parameters of one [`Params`].
#[derive(Clone, Default, Debug)]
pub(super) struct Buffers {
    /// The first parameter that had a gradient: it knows whose all are.
    first: Option<ParamId>,
    of: Vec<Vec<f32>>,
}

impl Buffers {
    /// The buffer of a parameter, zero when first used.
    #[track_caller]
    pub(super) fn get(&mut self, id: ParamId, len: usize) -> &mut [f32] {
        assert!(
            self.first.get_or_insert(id).is_beside(id),
            "the optimizer has made steps of other Params; each Params needs an optimizer of its own"
        );
        if self.of.len() <= id.index() {
            self.of.resize_with(id.index() + 1, Vec::new);
        }
        let buffer = &mut self.of[id.index()];
        buffer.resize(len, 0.0);
        buffer
    }

    /// Puts one tensor per parameter; one of no length where there is no buffer yet.
    pub(super) fn save(&self, prefix: &str, params: &Params, checkpoint: &mut Checkpoint) {
        for id in params.ids() {
            let name = format!("{prefix}{}", params.name(id));
            match self.of.get(id.index()).filter(|buffer| !buffer.is_empty()) {
                Some(buffer) => checkpoint.put(&name, params.shape(id), buffer),
                None => checkpoint.put(&name, &Shape::from([0]), &[]),
            }
        }
    }

    /// What [`save`](Self::save) put.
    pub(super) fn restored(prefix: &str, params: &Params, checkpoint: &Checkpoint) -> Result<Buffers> {
        let buffer = |id| {
            let name = format!("{prefix}{}", params.name(id));
            let has_none = checkpoint.tensor(&name).is_some_and(|(shape, _)| *shape == Shape::from([0]));
            Ok(if has_none { Vec::new() } else { checkpoint.shaped(&name, params.shape(id))?.to_vec() })
        };
        let of = params.ids().map(buffer).collect::<Result<_>>()?;
        Ok(Buffers { first: params.ids().next(), of })
    }
}
