//! `davy hunt athena-ddl`: what Amazon Athena has to be told.

use std::process::ExitCode;

use anyhow::anyhow;
use davylamp_hunt::athena::{Catalog, CatalogError, Place, workgroup};
use serde_json::Value;

use super::args::{AthenaArgs, AthenaWhat};
use crate::failure::Failure;
use crate::output::emit;

const GIB: u64 = 1 << 30;

/// Prints it.
pub(super) fn ddl(args: &AthenaArgs) -> Result<ExitCode, Failure> {
    let catalog = Catalog {
        database: args.database.clone(),
        accounts: args.account.iter().map(|it| it.as_str().into()).collect(),
        regions: args.region.iter().map(|it| it.as_str().into()).collect(),
        since: args.since,
    };
    let catalog = catalog.checked().map_err(failure)?;
    let place = |text: &Option<String>| text.as_deref().map(Place::parse).transpose();
    let lake = place(&args.lake).map_err(failure)?;
    let logs = place(&args.logs).map_err(failure)?;
    let results = place(&args.results).map_err(failure)?;
    let results = || {
        results.as_ref().ok_or_else(|| {
            Failure::new(
                anyhow!("nobody said where Athena writes its results"),
                "add --results s3://BUCKET/PREFIX",
            )
        })
    };
    let needs_place = args.what != AthenaWhat::Workgroup;
    if needs_place && lake.is_none() && logs.is_none() {
        return Err(Failure::new(
            anyhow!("nobody said what is to be asked"),
            "add --lake s3://BUCKET/PREFIX, or --raw s3://BUCKET/AWSLogs",
        ));
    }
    let text = match args.what {
        AthenaWhat::Ddl => {
            let of_lake = lake.as_ref().map(|lake| catalog.of_lake(lake));
            let of_logs = logs.as_ref().map(|logs| catalog.of_logs(logs));
            [of_lake, of_logs]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join("\n")
        }
        AthenaWhat::Policy => {
            let reads: Vec<Place> = [lake, logs].into_iter().flatten().collect();
            let asked_in = (&catalog.accounts[0], &catalog.regions[0]);
            pretty(&catalog.policy(&reads, results()?, &args.workgroup, asked_in))
        }
        AthenaWhat::Workgroup => {
            let most = args.scan_limit_gib.saturating_mul(GIB);
            pretty(&workgroup(&args.workgroup, results()?, most))
        }
    };
    emit(text)?;
    Ok(ExitCode::SUCCESS)
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn failure(error: CatalogError) -> Failure {
    let hint = match &error {
        CatalogError::Place(_) => "write s3://BUCKET/PREFIX, without blanks and quotes",
        CatalogError::Database(_) => "such as --database davylamp",
        CatalogError::Account(_) => "name each with --account 111122223333",
        CatalogError::Region(_) => "name each with --region eu-west-1",
    };
    Failure::new(anyhow!(error), hint)
}
