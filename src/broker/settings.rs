//! The broker's settings by Kafka's names: parsed, checked, with klog's own defaults; a name that is not in the table
//! is never accepted.

/// Broker settings: what was given, over the defaults.
#[derive(Debug, Clone, Default)]
pub struct Settings {}

/// Why a setting is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// No setting has that name.
    #[error("there is no setting {name}{}", .nearest.map(|near| format!("; did you mean {near}?")).unwrap_or_default())]
    Unknown {
        /// The name given.
        name: String,
        /// The nearest name there is.
        nearest: Option<&'static str>,
    },
    /// The value is not of the setting's type, or not allowed.
    #[error("{name}={value}: allowed is {allowed}")]
    BadValue {
        /// The setting.
        name: &'static str,
        /// The value given.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// klog does not do what the setting asks for.
    #[error("{name}={value} is refused: {why}")]
    Refused {
        /// The setting.
        name: &'static str,
        /// The value given.
        value: String,
        /// Why, and what to do instead.
        why: &'static str,
    },
}

impl Settings {
    /// Checks pairs of name and value, later ones winning.
    ///
    /// # Errors
    /// The first pair that is refused.
    pub fn parse<N: AsRef<str>, V: AsRef<str>>(
        _pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, SettingError> {
        unimplemented!()
    }

    /// A SHORT, INT or LONG setting's value in force.
    pub fn int(&self, _name: &'static str) -> i64 {
        unimplemented!()
    }

    /// A BOOLEAN setting's value in force.
    pub fn flag(&self, _name: &'static str) -> bool {
        unimplemented!()
    }

    /// A setting's value in force as text; `None` is null.
    pub fn text(&self, _name: &'static str) -> Option<&str> {
        unimplemented!()
    }

    /// Names that were given and have no effect here: to be said once at start-up.
    pub fn without_effect(&self) -> Vec<&'static str> {
        unimplemented!()
    }
}
