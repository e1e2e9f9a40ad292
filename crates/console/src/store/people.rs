//! People, and which of them a provider vouches for.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::{Store, StoreError};
use crate::access::{Role, Scope};

const COLUMNS: &str = "name, role, clusters, password, second_factor, factor_step, disabled";

/// Somebody who may sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Their name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// What they may see.
    pub scope: Scope,
    /// The digest of the password, as argon2 writes it; none for who comes by a link alone.
    pub password: Option<String>,
    /// The secret of the second factor, in base32.
    pub second_factor: Option<String>,
    /// The last step of the second factor that was used: each code counts once.
    pub factor_step: i64,
    /// Whether they may not sign in any more.
    pub disabled: bool,
}

/// Whom a provider vouches for: its own name of them, which never changes hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Provided {
    pub issuer: String,
    pub subject: String,
}

impl Store {
    /// Somebody, by name.
    pub async fn person(&self, name: &str) -> Result<Option<Person>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM console_person WHERE name = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(name)
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(person).transpose()
    }

    /// Everybody, by name.
    pub async fn people(&self) -> Result<Vec<Person>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM console_person ORDER BY name");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(person).collect()
    }

    /// Adds somebody.
    pub async fn add_person(&self, person: &Person, now: Timestamp) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        add(&mut connection, person, now).await
    }

    /// Adds somebody whom a provider vouches for.
    pub(crate) async fn add_provided(
        &self,
        person: &Person,
        provided: &Provided,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        add(&mut transaction, person, now).await?;
        sqlx::query("INSERT INTO console_identity (issuer, subject, person) VALUES ($1, $2, $3)")
            .bind(provided.issuer.as_str())
            .bind(provided.subject.as_str())
            .bind(person.name.as_str())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The person whom a provider vouches for, if they were here before.
    pub(crate) async fn provided(&self, by: &Provided) -> Result<Option<Person>, StoreError> {
        let name: Option<String> = sqlx::query_scalar(
            "SELECT person FROM console_identity WHERE issuer = $1 AND subject = $2",
        )
        .bind(by.issuer.as_str())
        .bind(by.subject.as_str())
        .fetch_optional(&self.pool)
        .await?;
        match name {
            Some(name) => self.person(&name).await,
            None => Ok(None),
        }
    }

    /// Who vouches for somebody; nobody where they are a person of the console's own.
    pub(crate) async fn provider_of(&self, name: &str) -> Result<Option<String>, StoreError> {
        let issuer = sqlx::query_scalar("SELECT issuer FROM console_identity WHERE person = $1")
            .bind(name)
            .fetch_optional(&self.pool)
            .await?;
        Ok(issuer)
    }

    /// Everybody whom a provider vouches for, by name.
    pub(crate) async fn all_provided(&self) -> Result<BTreeSet<String>, StoreError> {
        let names: Vec<String> = sqlx::query_scalar("SELECT person FROM console_identity")
            .fetch_all(&self.pool)
            .await?;
        Ok(names.into_iter().collect())
    }

    /// Changes what somebody may do and see, their password and second factor. Whoever is signed in
    /// under that name is signed out.
    pub async fn change_person(&self, person: &Person, now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        let changed = sqlx::query(
            "UPDATE console_person SET role = $2, clusters = $3, password = $4, second_factor = $5,
                 disabled = $6 WHERE name = $1",
        )
        .bind(person.name.as_str())
        .bind(person.role.as_str())
        .bind(person.scope.to_text())
        .bind(person.password.clone())
        .bind(person.second_factor.clone())
        .bind(person.disabled.then(|| now.as_microsecond()))
        .execute(&mut *transaction)
        .await?;
        if changed.rows_affected() == 0 {
            return Err(absent(&person.name));
        }
        // Keys before their sessions, by which they are found.
        let mut gone = vec![
            "DELETE FROM console_session_key WHERE session IN
                 (SELECT id FROM console_session WHERE person = $1)",
            "DELETE FROM console_session WHERE person = $1",
            "DELETE FROM console_link WHERE person = $1",
        ];
        if person.second_factor.is_none() {
            gone.push("DELETE FROM console_recovery WHERE person = $1");
        }
        for sql in gone {
            sqlx::query(sql)
                .bind(person.name.as_str())
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Gives somebody another password, as its digest. Sessions stay as they are.
    pub(crate) async fn set_password(&self, name: &str, digest: &str) -> Result<(), StoreError> {
        let set = sqlx::query("UPDATE console_person SET password = $2 WHERE name = $1")
            .bind(name)
            .bind(digest)
            .execute(&self.pool)
            .await?;
        match set.rows_affected() {
            0 => Err(absent(name)),
            _ => Ok(()),
        }
    }
}

async fn add(
    connection: &mut AnyConnection,
    person: &Person,
    now: Timestamp,
) -> Result<(), StoreError> {
    let added = sqlx::query(
        "INSERT INTO console_person
             (name, role, clusters, password, second_factor, factor_step, created)
         VALUES ($1, $2, $3, $4, $5, 0, $6) ON CONFLICT (name) DO NOTHING",
    )
    .bind(person.name.as_str())
    .bind(person.role.as_str())
    .bind(person.scope.to_text())
    .bind(person.password.clone())
    .bind(person.second_factor.clone())
    .bind(now.as_microsecond())
    .execute(connection)
    .await?;
    match added.rows_affected() {
        0 => Err(StoreError::Taken {
            what: "person",
            name: person.name.clone(),
        }),
        _ => Ok(()),
    }
}

pub(super) fn absent(name: &str) -> StoreError {
    let (what, name) = ("person", name.to_owned());
    StoreError::Absent { what, name }
}

/// Somebody, from a row that begins with their columns.
pub(super) fn person(row: &AnyRow) -> Result<Person, StoreError> {
    let unreadable = || StoreError::Unreadable { what: "person" };
    let (role, clusters): (String, String) = (row.try_get(1)?, row.try_get(2)?);
    let disabled: Option<i64> = row.try_get(6)?;
    Ok(Person {
        name: row.try_get(0)?,
        role: Role::named(&role).ok_or_else(unreadable)?,
        scope: Scope::from_text(&clusters).ok_or_else(unreadable)?,
        password: row.try_get(3)?,
        second_factor: row.try_get(4)?,
        factor_step: row.try_get(5)?,
        disabled: disabled.is_some(),
    })
}
