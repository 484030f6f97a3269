using LowRank.Training;

namespace LowRank.Tests.Training;

public sealed class RunFolderTests
{
    [Fact]
    public void A_second_run_is_refused_and_told_who_has_the_folder()
    {
        using var folder = new TemporaryFolder();
        using (RunFolder.Take(folder["out"]))
        {
            foreach (Action other in (Action[])[
                () => RunFolder.Take(folder["out"] + "/").Dispose(), () => RunFolder.RequireFree(folder["out"])])
            {
                var e = Assert.Throws<InputException>(other);
                Assert.Contains(
                    $"is in use by another run (process {Environment.ProcessId} on " +
                    $"{Environment.MachineName}, since 20", e.Message);
                Assert.Contains("choose another output", e.Message);
            }
        }
        RunFolder.RequireFree(folder["out"]);
        RunFolder.Take(folder["out"]).Dispose();
        RunFolder.RequireFree(folder["nowhere"]);
        Assert.False(Directory.Exists(folder["nowhere"]));
    }

    [Fact]
    public void A_folder_that_went_away_is_not_written_to()
    {
        using var folder = new TemporaryFolder();
        using RunFolder run = RunFolder.Take(folder["out"]);
        run.Verify();
        Directory.Move(folder["out"], folder["elsewhere"]);
        Directory.CreateDirectory(folder["out"]); // what an unmounted folder looks like
        Assert.Contains(
            "no longer the folder that this run began in", Assert.Throws<RunStorageException>(run.Verify).Message);
        Directory.Delete(folder["out"]);
        Directory.Move(folder["elsewhere"], folder["out"]);
        run.Verify();
    }

    [Fact]
    public void What_a_killed_run_left_half_written_is_tidied_up_and_nothing_else()
    {
        using var folder = new TemporaryFolder();
        string[] removed =
            ["adapter.partial-0123abcd", "checkpoints/step-00000007.partial-0123abcd", "model.replaced-0123abcd"];
        string[] kept =
            ["model", "mine.partial-0123abcd", "adapter.partial-mine", "checkpoints/step-00000006",
            "checkpoints/other.partial-0123abcd"];
        foreach (string name in removed.Concat(kept).Append("best.replaced-0123abcd"))
        {
            Directory.CreateDirectory(folder[name]);
            File.WriteAllText(Path.Combine(folder[name], "a"), name);
        }
        File.WriteAllText(folder[".recipe.yaml.0123456789abcdef0123456789abcdef.tmp"], "half");
        File.WriteAllText(folder[".mine.tmp"], "mine");
        File.WriteAllText(folder[".adapter.0123abcd.lock"], "");
        RunFolder.Tidy(folder.Path); // no run's folder yet
        Assert.All(removed, name => Assert.True(Path.Exists(folder[name]), name));
        File.WriteAllText(folder[".run.lock"], "");
        // a run goes on
        using (new FileStream(folder[".run.lock"], FileMode.Open, FileAccess.ReadWrite, FileShare.None))
            RunFolder.Tidy(folder.Path);
        Assert.All(removed, name => Assert.True(Path.Exists(folder[name]), name));
        RunFolder.Tidy(folder.Path);
        Assert.False(File.Exists(folder[".adapter.0123abcd.lock"]));
        Assert.All(removed, name => Assert.False(Path.Exists(folder[name]), name));
        Assert.All(kept, name => Assert.Equal(name, File.ReadAllText(Path.Combine(folder[name], "a"))));
        Assert.Equal("best.replaced-0123abcd", File.ReadAllText(folder["best/a"]));
        Assert.False(Path.Exists(folder["best.replaced-0123abcd"]));
        Assert.Equal([".mine.tmp"], Directory.GetFiles(folder.Path, "*.tmp").Select(path => Path.GetFileName(path)));
    }

    [Fact]
    public void A_folder_that_cannot_be_made_says_so()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["file"], "");
        Assert.Contains(
            "cannot be written to",
            Assert.Throws<RunStorageException>(() => RunFolder.Take(folder["file/out"])).Message);
    }
}
