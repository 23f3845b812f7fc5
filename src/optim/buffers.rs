//! The running buffers of an optimizer, one per parameter.

use reparam_ops::Buffer;

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::params::{ParamId, Params};
use crate::shape::Shape;

/// The error message for an update of parameters that the buffers do not belong to.
pub(super) const OTHER_PARAMS: &str =
    "the optimizer has already updated other Params; each Params needs its own optimizer";

/// A buffer as long as each parameter, from its first gradient on, for the parameters of one [`Params`].
#[derive(Clone, Default, Debug)]
pub(super) struct Buffers {
    /// The first parameter that had a gradient. It identifies the [`Params`] of all.
    first: Option<ParamId>,
    of: Vec<Buffer>,
}

impl Buffers {
    /// The buffer of a parameter, zero when first used; `None` if the buffers belong to other [`Params`].
    pub(super) fn get(&mut self, id: ParamId, len: usize) -> Option<&mut [f32]> {
        if !self.first.get_or_insert(id).shares_params_with(id) {
            return None;
        }
        if self.of.len() <= id.index() {
            self.of.resize_with(id.index() + 1, Buffer::new);
        }
        let buffer = &mut self.of[id.index()];
        buffer.resize(len);
        Some(buffer)
    }

    /// Saves one tensor per parameter, of length 0 if there is no buffer yet.
    #[track_caller]
    pub(super) fn save(&self, prefix: &str, params: &Params, checkpoint: &mut Checkpoint) {
        for id in params.ids() {
            let name = format!("{prefix}{}", params.name(id));
            match self.of.get(id.index()).filter(|buffer| !buffer.is_empty()) {
                Some(buffer) => checkpoint.put(&name, params.shape(id), buffer),
                None => checkpoint.put(&name, &Shape::from([0]), &[]),
            }
        }
    }

    /// Loads what [`save`](Self::save) stored.
    pub(super) fn restored(prefix: &str, params: &Params, checkpoint: &Checkpoint) -> Result<Buffers> {
        let buffer = |id| {
            let name = format!("{prefix}{}", params.name(id));
            let has_none = checkpoint.tensor(&name).is_some_and(|(shape, _)| *shape == Shape::from([0]));
            Ok(if has_none { Buffer::new() } else { checkpoint.shaped(&name, params.shape(id))?.into() })
        };
        let of = params.ids().map(buffer).collect::<Result<_>>()?;
        Ok(Buffers { first: params.ids().next(), of })
    }
}
