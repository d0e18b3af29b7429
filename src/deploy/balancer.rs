//! Taking hosts out of the balancer before they stop answering, and back in.

use super::fleet::{Fleet, Halt};

impl Fleet {
    /// Takes hosts out.
    ///
    /// # Errors
    /// The balancer did not do it.
    pub async fn leave(&self, places: &[usize]) -> Result<(), Halt> {
        self.balance(places, false).await
    }

    /// Puts hosts back in.
    ///
    /// # Errors
    /// The balancer did not do it.
    pub async fn enter(&self, places: &[usize]) -> Result<(), Halt> {
        self.balance(places, true).await
    }

    async fn balance(&self, _places: &[usize], _enter: bool) -> Result<(), Halt> {
        if self.spec.args.balancer.is_some() {
            return Err(Halt::wrong("balancer", "a balancer can't be told yet"));
        }
        Ok(())
    }
}
