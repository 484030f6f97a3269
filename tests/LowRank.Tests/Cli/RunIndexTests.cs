using LowRank.Cli.Runs;
using LowRank.Training;

namespace LowRank.Tests.Cli;

public sealed class RunIndexTests
{
    private static void Run(string folder, double loss, string? facts = null)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(
            Path.Combine(folder, "recipe.yaml"),
            "model: /m\ndata: {train: /t, validation: /v}\nadapter: {rank: 4}\ntraining: {learning_rate: 0.01, " +
            "steps: 9}\noutput: /o\n");
        File.WriteAllText(Path.Combine(folder, "metrics.jsonl"), string.Create(
            System.Globalization.CultureInfo.InvariantCulture,
            $"{{\"step\":0,\"eval_loss\":0.001}}\n{{\"step\":1,\"loss\":3}}\n" +
                $"{{\"step\":1,\"eval_loss\":{loss}}}\n{{\"step\":2,\"loss\":3}}\n" +
                $"{{\"step\":2,\"eval_loss\":9}}\n{{\"step\":3,\"lo"));
        if (facts is not null) File.WriteAllText(Path.Combine(folder, "run.json"), facts);
    }

    private static IReadOnlyList<RunRow> List(string folder, List<string>? notes = null) =>
        RunIndex.List(folder, (notes ?? []).Add);

    [Fact]
    public void Runs_are_listed_with_what_their_folders_tell()
    {
        using var root = new TemporaryFolder();
        Run(root["a"], 0.5, """{"state":"finished","planned_steps":9,"seconds":12.5}""");
        Run(root[Path.Combine("sweep", "b")], 0.25, """{"state":"running"}""");
        Run(root[Path.Combine("a", "checkpoints", "within")], 0.1); // a run's folders are its own
        Directory.CreateDirectory(root["none"]);
        IReadOnlyList<RunRow> rows = List(root[""]);
        Assert.Equal(
            new RunRow("a", "finished", 2, 9, 0.5, 1, "lora", 4, 0.01, 12.5,
            rows[0].Changed) { Problems = rows[0].Problems }, rows[0]);
        Assert.Equal(["a", "sweep/b"], rows.Select(row => row.Folder));
        Assert.Equal("killed", rows[1].State);
        using (RunFolder.Take(root[Path.Combine("sweep", "b")])) Assert.Equal("running", List(root[""])[1].State);
        Assert.Equal("killed", List(root[""])[1].State);
    }

    [Fact]
    public void What_has_changed_is_read_again_and_what_is_gone_is_left_out()
    {
        using var root = new TemporaryFolder();
        Run(root["a"], 0.5);
        Run(root["b"], 0.5);
        Assert.Equal(2, List(root[""]).Count);
        Run(root["a"], 0.125);
        Directory.Delete(root["b"], recursive: true);
        Assert.Equal(0.125, Assert.Single(List(root[""])).BestLoss);
        // The index answers for a run whose files are as they were.
        DateTime written = File.GetLastWriteTimeUtc(Path.Combine(root["a"], "metrics.jsonl"));
        File.WriteAllText(
            Path.Combine(root["a"], "metrics.jsonl"), File.ReadAllText(Path.Combine(root["a"], "metrics.jsonl"))
            .Replace("0.125", "0.625", StringComparison.Ordinal));
        File.SetLastWriteTimeUtc(Path.Combine(root["a"], "metrics.jsonl"), written);
        Assert.Equal(0.125, Assert.Single(List(root[""])).BestLoss);
        File.Delete(root[RunIndex.FileName]);
        Assert.Equal(0.625, Assert.Single(List(root[""])).BestLoss);
    }

    [Theory]
    [InlineData(
        "this is no database, and longer than the hundred bytes that a database's header takes; so it is not taken " +
        "for an empty one")]
    [InlineData("")]
    public void A_damaged_index_is_made_anew(string content)
    {
        using var root = new TemporaryFolder();
        Run(root["a"], 0.5);
        File.WriteAllText(root[RunIndex.FileName], content);
        var notes = new List<string>();
        Assert.Single(List(root[""], notes));
        Assert.Equal(content.Length > 0 ? 1 : 0, notes.Count);
        Assert.Single(List(root[""], notes));
        Assert.Equal(content.Length > 0 ? 1 : 0, notes.Count);
    }

    [Fact]
    public void An_index_that_cannot_be_written_is_done_without()
    {
        using var root = new TemporaryFolder();
        Run(root["a"], 0.5);
        Directory.CreateDirectory(root[RunIndex.FileName]);
        var notes = new List<string>();
        Assert.Equal(0.5, Assert.Single(List(root[""], notes)).BestLoss);
        Assert.Contains("cannot be used", Assert.Single(notes));
    }

    [Fact]
    public void Several_may_list_at_once()
    {
        using var root = new TemporaryFolder();
        for (int i = 0; i < 20; i++) Run(root[$"run{i}"], i);
        string folder = root[""];
        Parallel.For(0, 8, _ =>
        {
            var notes = new List<string>();
            Assert.Equal(20, List(folder, notes).Count);
            Assert.Empty(notes);
        });
    }
}
