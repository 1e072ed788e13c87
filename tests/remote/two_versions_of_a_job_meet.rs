//! During a deploy the sender and the worker may have two versions of a job's type.

use heirloom::remote::{Job, serve};
use heirloom::{ErrorKind, PoolConfig};
use serde::{Deserialize, Serialize};

use crate::common::bounded;
use crate::world::World;

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct OldOutput {
    bytes: u32,
}

#[derive(Serialize, Deserialize)]
struct Old {
    page: String,
}

impl Job for Old {
    const NAME: &'static str = "picture";
    type Output = OldOutput;

    fn run(self) -> OldOutput {
        OldOutput { bytes: u32::try_from(self.page.len()).expect("small") }
    }
}

/// Both the job and its output have one field more.
#[derive(Serialize, Deserialize)]
struct New {
    page: String,
    #[serde(default)]
    width: u32,
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct NewOutput {
    bytes: u32,
    #[serde(default)]
    scaled: bool,
}

impl Job for New {
    const NAME: &'static str = "picture";
    type Output = NewOutput;

    fn run(self) -> NewOutput {
        NewOutput { bytes: u32::try_from(self.page.len()).expect("small"), scaled: self.width > 0 }
    }
}

/// A field of another type: no version of the same job.
#[derive(Serialize, Deserialize)]
struct Other {
    page: u32,
}

impl Job for Other {
    const NAME: &'static str = "picture";
    type Output = OldOutput;

    fn run(self) -> OldOutput {
        OldOutput { bytes: self.page }
    }
}

fn with_worker<J: Job>(test: impl FnOnce(&World) + Send + 'static) {
    bounded(|| {
        let world = World::new();
        let here = world.scope.create("here");
        here.start(PoolConfig::leased(1)).expect("starts");
        let _serving = serve(world.origin.another().queue("work"), &here).job::<J>().start().expect("starts");
        test(&world);
    });
}

#[test]
fn a_new_worker_runs_an_old_job() {
    with_worker::<New>(|world| {
        let output = world.pool(1).send(Old { page: "page".into() }).expect("accepted").join().expect("runs");
        assert_eq!(output, OldOutput { bytes: 4 });
    });
}

#[test]
fn an_old_worker_runs_a_new_job() {
    with_worker::<Old>(|world| {
        let output =
            world.pool(1).send(New { page: "page".into(), width: 200 }).expect("accepted").join().expect("runs");
        assert_eq!(output, NewOutput { bytes: 4, scaled: false });
    });
}

#[test]
fn a_field_of_another_type_is_not_understood_and_named() {
    with_worker::<Other>(|world| {
        let error =
            world.pool(1).send(Old { page: "page".into() }).expect("accepted").join().expect_err("no version of it");
        assert_eq!(error.kind(), ErrorKind::NotUnderstood);
        assert!(error.to_string().contains("picture"), "{error}");
    });
}
