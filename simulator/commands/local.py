"""`local`: the local cloud by itself."""

from simulator.commands.terminal import console, failure


def local() -> None:
    """Start the local cloud, deploy the stack and keep it running until Ctrl-C."""
    from simulator.local_cloud.assembly import STACK, AssemblyError, ensure_assembly
    from simulator.local_cloud.deploy import deploy_assembly
    from simulator.local_cloud.errors import LocalCloudError
    from simulator.local_cloud.local_cloud import LocalCloud
    from simulator.local_cloud.playground import keep_running

    try:
        assembly = ensure_assembly()
        with LocalCloud() as cloud:
            keep_running(cloud, deploy_assembly(cloud, assembly, [STACK])[STACK], console)
    except (AssemblyError, LocalCloudError, OSError) as error:
        raise failure(error) from error
