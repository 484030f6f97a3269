namespace LowRank.EndToEndTests;

/// <summary><c>lowrank report</c>.</summary>
public sealed class ReportCommandTests : IDisposable
{
    private readonly TinyModel tiny = new();

    public void Dispose() => tiny.Dispose();

    [Fact]
    public void A_run_is_shown_with_what_it_learned_and_took()
    {
        CommandResult trained = CommandLine.Run(
            "train", tiny.Recipe(
                "steps: 6\n  eval_every: 3\ncomparison: {data: data.jsonl, generations: 1, max_new_tokens: 4}"),
            "--set", "data.validation=data.jsonl");
        Assert.True(trained.ExitCode == 0, trained.Error);
        string metrics = File.ReadAllText(tiny["run/metrics.jsonl"]);
        CommandResult made = CommandLine.Run("report", tiny["run"], "--output", tiny["a.html"]);
        Assert.True(made.ExitCode == 0, made.Error);
        string page = File.ReadAllText(tiny["a.html"]);
        Assert.All((string[])["<dd>finished</dd>", "<dd>6 of 6</dd>", "Best held-out loss", "Trained weights",
            "Peak memory", "held out: from ", "Before training", "After training",
            "<code>adapter.rank</code>", "0 and 1:"],
            expected => Assert.Contains(expected, page));
        Assert.DoesNotContain("Please note", page);
        Assert.Equal(metrics, File.ReadAllText(tiny["run/metrics.jsonl"]));
        CommandLine.Run("report", tiny["run"], "--output", tiny["b.html"]);
        Assert.Equal(page, File.ReadAllText(tiny["b.html"]));
    }

    [Fact]
    public void What_cannot_be_shown_is_refused()
    {
        CommandResult refused = CommandLine.Run("report", tiny.Folder, tiny["none"]);
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("holds neither metrics.jsonl nor recipe.yaml", refused.Error);
        Assert.Contains("none does not exist", refused.Error);
        File.WriteAllText(tiny["metrics.jsonl"], "{\"step\":1,\"loss\":2}\n");
        Assert.Contains("ends with .html", CommandLine.Run("report", tiny[""], "--output", tiny["page.txt"]).Error);
        Assert.Contains(
            "is a file that is read", CommandLine.Run("report", tiny[""], "--output", tiny["metrics.jsonl"]).Error);
        Assert.Equal("{\"step\":1,\"loss\":2}\n", File.ReadAllText(tiny["metrics.jsonl"]));
    }
}
