//! The two sides of the matrix, and pairs with one value per side.

use serde::{Deserialize, Serialize};

/// One of the two sides of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    /// Rows of the ratings matrix.
    User,
    /// Columns of the ratings matrix.
    Item,
}

impl Axis {
    /// Both sides, users first.
    pub const BOTH: [Self; 2] = [Self::User, Self::Item];

    /// `user` or `item`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Item => "item",
        }
    }

    /// The other side.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::User => Self::Item,
            Self::Item => Self::User,
        }
    }
}

/// The error for a name that is neither `user` nor `item`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a side is user or item")]
pub struct UnknownSide;

impl std::str::FromStr for Axis {
    type Err = UnknownSide;

    fn from_str(name: &str) -> Result<Self, UnknownSide> {
        Self::BOTH.into_iter().find(|axis| axis.name() == name).ok_or(UnknownSide)
    }
}

/// One value for the users and one for the items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pair<T> {
    /// The value of the users.
    pub users: T,
    /// The value of the items.
    pub items: T,
}

impl<T> Pair<T> {
    /// A pair, users first.
    pub const fn new(users: T, items: T) -> Self {
        Self { users, items }
    }

    /// The value of one side.
    pub const fn of(&self, axis: Axis) -> &T {
        match axis {
            Axis::User => &self.users,
            Axis::Item => &self.items,
        }
    }

    /// The value of one side, for changes.
    pub const fn of_mut(&mut self, axis: Axis) -> &mut T {
        match axis {
            Axis::User => &mut self.users,
            Axis::Item => &mut self.items,
        }
    }

    /// Applies a function to both values.
    pub fn map<U>(self, mut each: impl FnMut(T) -> U) -> Pair<U> {
        Pair { users: each(self.users), items: each(self.items) }
    }

    /// References to both values.
    pub const fn as_ref(&self) -> Pair<&T> {
        Pair { users: &self.users, items: &self.items }
    }

    /// Combines the values of two pairs, side by side.
    pub fn zip<U>(self, other: Pair<U>) -> Pair<(T, U)> {
        Pair { users: (self.users, other.users), items: (self.items, other.items) }
    }
}

impl<T, E> Pair<Result<T, E>> {
    /// Both values, or the first error.
    ///
    /// # Errors
    /// The error of the users, else that of the items.
    pub fn transpose(self) -> Result<Pair<T>, E> {
        Ok(Pair { users: self.users?, items: self.items? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_names_its_value() {
        let mut pair = Pair::new(1, 2);
        assert_eq!((*pair.of(Axis::User), *pair.of(Axis::User.other())), (1, 2));
        *pair.of_mut(Axis::Item) = 5;
        assert_eq!(pair.map(|n| n * 2), Pair::new(2, 10));
        let failed: Pair<Result<i32, &str>> = Pair::new(Ok(1), Err("items"));
        assert_eq!(failed.transpose(), Err("items"));
        assert_eq!("item".parse(), Ok(Axis::Item));
        assert_eq!("side".parse::<Axis>(), Err(UnknownSide));
    }
}
