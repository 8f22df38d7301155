//! What lanes cannot open themselves: ports, control sockets and images are opened here and handed to
//! them.

use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::PathBuf;

use sprat_switch::port::{Claim, PortSpec, Ring};

use super::lanes::Lanes;
use crate::control;
use crate::desired::{Desired, Program, instance_names, ring_name};
use crate::protocol::{Answer, Given, Interface, Request};

impl Lanes {
    /// Gives a lane what its part of what is declared needs and it does not have yet; what went
    /// without, in words.
    pub(super) async fn provide(
        &self,
        lane: &str,
        part: &Desired,
        declared: &Desired,
    ) -> Result<Vec<String>, String> {
        let holds = match self.ask(lane, Request::Holds).await? {
            Answer::Holds(holds) => holds,
            _ => return Err(format!("the lane {lane} answers something else")),
        };
        for (name, spec) in &part.ports {
            if holds.ports.get(name) != Some(spec) {
                self.give_port(lane, name, spec, declared)
                    .await
                    .map_err(|error| format!("ports.{name}: {error}"))?;
            }
        }
        let mut without = Vec::new();
        for (name, function) in &part.functions {
            if let Program::Image { path, build } = &function.program
                && holds.images.get(path) != Some(build)
            {
                self.give_image(lane, path, build).await?;
            }
            for instance in instance_names(name, function.replicas) {
                if !holds.sockets.contains(&instance)
                    && let Err(error) = self.give_socket(lane, &instance).await
                {
                    without.push(error);
                }
            }
        }
        Ok(without)
    }

    /// Opens a port and gives it to a lane.
    pub(super) async fn give_port(
        &self,
        lane: &str,
        name: &str,
        spec: &str,
        declared: &Desired,
    ) -> Result<(), String> {
        if let Some(ring) = ring_name(spec) {
            return self.give_ring(lane, name, ring, declared).await;
        }
        let claim = PortSpec::parse(spec)
            .and_then(|spec| Claim::open(&spec).map_err(|error| error.to_string()))?
            .ok_or("a lane makes no sockets of its own")?;
        self.give_claim(lane, name, spec, claim).await
    }

    /// Makes a pair of rings, one end for this lane and one for the lane of the other port of this
    /// name. Who had an end of an older pair has a new one from now on.
    async fn give_ring(
        &self,
        lane: &str,
        port: &str,
        ring: &str,
        declared: &Desired,
    ) -> Result<(), String> {
        let [own, others] = Ring::pair(ring).map_err(|error| error.to_string())?;
        let other = declared.other_end(port, ring);
        let (other, spec) = other.ok_or("nothing is at its other end")?;
        if let Some(owner) = declared.lane_of_port(other) {
            // A lane that does not run yet finds that it has none, and has a new pair made.
            let _ = self.give_claim(&owner, other, spec, others).await;
        }
        self.give_claim(lane, port, spec, own).await
    }

    async fn give_claim(
        &self,
        lane: &str,
        port: &str,
        spec: &str,
        claim: Claim,
    ) -> Result<(), String> {
        let given = Given::Port {
            name: port.into(),
            spec: spec.into(),
            interface: Interface {
                name: claim.name.clone(),
                frame_limit: claim.frame_limit,
                kind: claim.what.clone().into(),
            },
        };
        let descriptors: Vec<_> = claim.descriptors.iter().map(|one| one.as_fd()).collect();
        self.give(lane, given, &descriptors).await?;
        // Which may wait for the kernel.
        let completed = tokio::task::spawn_blocking(move || claim.complete()).await;
        let completed = completed.map_err(|error| error.to_string())?;
        completed.map_err(|error| error.to_string())
    }

    async fn give_image(&self, lane: &str, path: &str, build: &str) -> Result<(), String> {
        let image = File::open(path).map_err(|error| format!("{path}: {error}"))?;
        let mut beside = PathBuf::from(path).into_os_string();
        beside.push(".symbols");
        let symbols = File::open(beside).ok();
        let files: Vec<_> = std::iter::once(&image).chain(&symbols).collect();
        let descriptors: Vec<_> = files.iter().map(|file| file.as_fd()).collect();
        let given = Given::Image {
            path: path.into(),
            build: build.into(),
        };
        self.give(lane, given, &descriptors).await
    }

    async fn give_socket(&self, lane: &str, instance: &str) -> Result<(), String> {
        let path = self.folders.instance(instance);
        let listener = control::bind(&path).map_err(|error| {
            format!(
                "no control socket for {instance}: {}: {error}",
                path.display()
            )
        })?;
        let given = Given::Socket {
            instance: instance.into(),
        };
        self.give(lane, given, &[listener.as_fd()]).await
    }

    /// Removes the control sockets of instances that are no longer declared.
    pub(super) fn remove_sockets(&self, before: &Desired, after: &Desired) {
        for (name, function) in &before.functions {
            let left = after.functions.get(name).map_or(0, |left| left.replicas);
            let left = instance_names(name, left);
            for instance in instance_names(name, function.replicas) {
                if !left.contains(&instance) {
                    // It may not have had one.
                    let _ = std::fs::remove_file(self.folders.instance(&instance));
                }
            }
        }
    }

    async fn give(
        &self,
        lane: &str,
        given: Given,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), String> {
        let clones: Result<Vec<_>, _> = descriptors
            .iter()
            .map(BorrowedFd::try_clone_to_owned)
            .collect();
        let clones = clones.map_err(|error| error.to_string())?;
        self.ask_with(lane, Request::Take(given), clones).await?;
        Ok(())
    }
}
