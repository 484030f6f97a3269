using System.Diagnostics;

namespace LowRank.EndToEndTests;

/// <summary>Runs that share a folder, a disk that is full, and the same run twice.</summary>
public sealed class RunFolderTests
{
    [Fact]
    public void Two_runs_cannot_write_to_one_folder_and_a_killed_one_does_not_keep_it()
    {
        using var model = new TinyModel();
        string recipe = model.Recipe("steps: 100000\n  save_every: 5");
        using (Process first = CommandLine.Start(model[""], "train", recipe))
        {
            Wait.For(() => Directory.Exists(model["run/checkpoints/step-00000005"]), first);
            CommandResult second = CommandLine.Run("train", recipe, "--set", "training.steps=1");
            Assert.Equal(2, second.ExitCode);
            Assert.Contains($"is in use by another run (process {first.Id} on {Environment.MachineName}",
                second.Error, StringComparison.Ordinal);
            Assert.False(Directory.Exists(model["run.previous-1"]));
            first.Kill();
            first.WaitForExit();
        }
        CommandLine.Run("train", recipe, "--set", "training.steps=1").Succeeded();
        Assert.True(Directory.Exists(model["run.previous-1/checkpoints"]));
    }

    [Fact]
    public void The_same_recipe_gives_the_same_bytes()
    {
        using var model = new TinyModel();
        foreach (string output in new[] { "a", "b" })
            CommandLine.Run("train", model.Recipe("steps: 20", "dropout: 0.1", output)).Succeeded();
        Assert.Equal(File.ReadAllBytes(model["a/adapter/adapter_model.safetensors"]),
            File.ReadAllBytes(model["b/adapter/adapter_model.safetensors"]));
    }

    [Fact]
    public void A_run_waits_while_the_disk_is_full_and_goes_on_once_there_is_space()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "only Linux lets its users mount a small disk");
        using var model = new TinyModel();
        string whole = model.Recipe("steps: 60\n  save_every: 1", "dropout: 0.1", "whole"),
            full = model.Recipe("steps: 60\n  save_every: 1\n  keep_checkpoints: 1000", "dropout: 0.1", "full");
        Directory.CreateDirectory(model["full"]);
        // A disk of 1 MB, in a space of names of its own, which needs no rights where the system lets users have one.
        // It grows once the run waits.
        string inside = $"""
            mount -t tmpfs -o size=1m none '{model["full"]}' || exit 9
            dotnet '{CommandLine.Assembly}' train '{full}' > '{model["output"]}' &
            until grep -q '^waiting: .*No space left on device' '{model["output"]}'; do kill -0 $! || break; sleep 0.1; done
            mount -o remount,size=100m '{model["full"]}'
            wait $!; echo "ended with $?"; cp -r '{model["full"]}/.' '{model["saved"]}'
            """;
        CommandResult result = CommandLine.RunOther("unshare", ["-Urm", "sh", "-c", inside]);
        Assert.SkipUnless(
            result.Output.Contains("ended with", StringComparison.Ordinal),
            "this system does not let its users mount a small disk: " + result.Error);
        Assert.Contains("ended with 0", result.Output, StringComparison.Ordinal);
        Assert.Contains("the run continues", File.ReadAllText(model["output"]), StringComparison.Ordinal);
        Assert.DoesNotContain(
            Directory.GetDirectories(model["saved/checkpoints"]), path =>
            path.Contains("partial", StringComparison.Ordinal));

        CommandLine.Run("train", whole).Succeeded();
        Assert.Equal(File.ReadAllBytes(model["whole/adapter/adapter_model.safetensors"]),
            File.ReadAllBytes(model["saved/adapter/adapter_model.safetensors"]));
        Assert.Equal(Enumerable.Range(1, 60), Metrics.Steps(model["saved/metrics.jsonl"]));
    }
}
