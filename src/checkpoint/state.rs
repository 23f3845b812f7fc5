//! What the parts of a run in progress put into a checkpoint, and take up again. An error is one text, `what was expected,
//! found what`.

use crate::checkpoint::Checkpoint;
use crate::data::{BatchState, Batches};
use crate::noise::Noise;
use crate::optim::Optimizer;
use crate::params::Params;
use crate::shape::Shape;

type Read<T> = Result<T, String>;

impl Checkpoint {
    /// The place of a noise in its stream.
    pub(crate) fn put_noise(&mut self, name: &str, noise: &Noise) {
        self.put_position(name, noise.position());
    }

    pub(crate) fn get_noise(&self, name: &str) -> Read<Noise> {
        self.get_position(name).map(Noise::resume)
    }

    fn put_position(&mut self, name: &str, (start, position): (u64, u64)) {
        self.set(&format!("{name}.start"), start);
        self.set(&format!("{name}.position"), position);
    }

    fn get_position(&self, name: &str) -> Read<(u64, u64)> {
        Ok((self.get(&format!("{name}.start"))?, self.get(&format!("{name}.position"))?))
    }

    /// Where batches stand, under the name `order`.
    pub(crate) fn put_order(&mut self, batches: &Batches) {
        let BatchState { start, position, cursor, epoch } = batches.state();
        self.put_position("order", (start, position));
        self.set("order.cursor", cursor);
        self.set("order.epoch", epoch);
    }

    pub(crate) fn get_order(&self) -> Read<BatchState> {
        let (start, position) = self.get_position("order")?;
        Ok(BatchState { start, position, cursor: self.get("order.cursor")?, epoch: self.get("order.epoch")? })
    }

    /// One tensor per parameter, named `prefix` and its name.
    pub(crate) fn put_values<'v>(
        &mut self,
        prefix: &str,
        params: &Params,
        values: impl IntoIterator<Item = &'v [f32]>,
    ) {
        for (id, value) in params.ids().zip(values).filter(|(_, value)| !value.is_empty()) {
            self.put(&format!("{prefix}{}", params.name(id)), params.shape(id), value);
        }
    }

    pub(crate) fn put_params(&mut self, prefix: &str, params: &Params) {
        self.put_values(prefix, params, params.ids().map(|id| params.value(id)));
    }

    /// A tensor for every parameter, of its shape.
    pub(crate) fn get_values(&self, prefix: &str, params: &Params) -> Read<Vec<Vec<f32>>> {
        let value = |id| {
            let value = self.shaped(&format!("{prefix}{}", params.name(id)), params.shape(id))?;
            Ok(value.to_vec())
        };
        params.ids().map(value).collect()
    }

    pub(crate) fn get_params(&self, prefix: &str, params: &mut Params) -> Read<()> {
        for id in params.ids() {
            let value = self.shaped(&format!("{prefix}{}", params.name(id)), params.shape(id))?;
            params.value_mut(id).copy_from_slice(value);
        }
        Ok(())
    }

    /// The running buffers of an optimizer of these parameters.
    pub(crate) fn put_optimizer(&mut self, prefix: &str, params: &Params, optimizer: &dyn Optimizer) {
        for (kind, buffers) in optimizer.buffers() {
            self.put_values(&format!("{prefix}{kind}."), params, buffers.iter().map(|buffer| &buffer[..]));
        }
    }

    /// Those buffers after `steps` updates.
    pub(crate) fn get_optimizer(
        &self,
        prefix: &str,
        params: &Params,
        steps: u64,
        optimizer: &mut dyn Optimizer,
    ) -> Read<()> {
        let mut all = Vec::new();
        for (kind, _) in optimizer.buffers() {
            let mut buffers = Vec::new();
            for id in params.ids() {
                let name = format!("{prefix}{kind}.{}", params.name(id));
                // Frozen parameters have none, and before the first step none has.
                let has_buffer = steps > 0 && !params.is_frozen(id);
                buffers.push(match has_buffer {
                    true => self.shaped(&name, params.shape(id))?.to_vec(),
                    false => Vec::new(),
                });
            }
            // Buffers are made on first use: behind the last one in use there are none.
            while buffers.last().is_some_and(Vec::is_empty) {
                buffers.pop();
            }
            all.push(buffers);
        }
        optimizer.restore(steps, all);
        Ok(())
    }

    /// The tensor of that name, if it has that shape.
    pub(crate) fn shaped(&self, name: &str, shape: &Shape) -> Read<&[f32]> {
        match self.tensor(name) {
            Some((found, value)) if found == shape => Ok(value),
            other => Err(format!(
                "a tensor `{name}` of shape {shape}, found {}",
                other.map_or("none".to_owned(), |(found, _)| format!("one of shape {found}"))
            )),
        }
    }

    /// Numbers in one setting, separated by spaces.
    pub(crate) fn set_numbers(&mut self, key: &str, numbers: &[f64]) {
        self.set(key, numbers.iter().map(f64::to_string).collect::<Vec<_>>().join(" "));
    }

    /// As many numbers as were asked for.
    pub(crate) fn get_array<const N: usize>(&self, key: &str) -> Read<[f64; N]> {
        let (text, numbers): (String, _) = (self.get(key)?, self.get_numbers(key)?);
        numbers.try_into().map_err(|_| format!("{N} numbers in the setting `{key}`, found `{text}`"))
    }

    pub(crate) fn get_numbers(&self, key: &str) -> Read<Vec<f64>> {
        let text: String = self.get(key)?;
        let number =
            |text: &str| text.parse().map_err(|_| format!("numbers in the setting `{key}`, found `{text}`"));
        text.split(' ').filter(|number| !number.is_empty()).map(number).collect()
    }
}
