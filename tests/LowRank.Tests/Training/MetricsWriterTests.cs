using LowRank.Training;

namespace LowRank.Tests.Training;

public sealed class MetricsWriterTests
{
    private static TrainingStep Step(long step) => new(step, 2.5, 1.25, 1e-4, 64, 1000.5, TimeSpan.FromSeconds(step));

    private const string Line =
        """{"step":1,"loss":2.5,"grad_norm":1.25,"learning_rate":0.0001,"tokens":64,"tokens_per_second":1000.5}""";

    [Fact]
    public void Writes_a_line_a_step_and_a_line_an_evaluation_at_once()
    {
        using var folder = new TemporaryFolder();
        string path = folder[Path.Combine("sub", "metrics.jsonl")];
        using var writer = new MetricsWriter(path);
        writer.Started(new TrainingPlan(1, 1, 1, 1, "x"));
        writer.Stepped(Step(1));
        writer.Evaluated(new EvaluationResult(1, 0.5, 12));
        // The writer is still open: what it wrote is in the file all the same.
        Assert.Equal(Line + "\n" + """{"step":1,"eval_loss":0.5,"eval_tokens":12}""" + "\n", Read(path));
    }

    [Fact]
    public void A_new_run_starts_anew_and_a_resumed_one_replaces_the_steps_it_takes_again()
    {
        using var folder = new TemporaryFolder();
        string path = folder["metrics.jsonl"];
        File.WriteAllText(path, "old\n");
        using (var writer = new MetricsWriter(path))
        {
            for (int step = 1; step <= 5; step++) writer.Stepped(Step(step));
            writer.Evaluated(new EvaluationResult(5, 1, 1));
        }
        File.AppendAllText(path, "{\"step\":6,\"lo");
        using (var writer = new MetricsWriter(path, resume: true))
        {
            writer.Started(new TrainingPlan(1, 1, 1, 1, "x") { ResumedFrom = 3 });
            writer.Stepped(Step(4));
            writer.Stepped(Step(5));
        }
        string[] lines = File.ReadAllLines(path);
        Assert.Equal([1, 2, 3, 4, 5],
            lines.Select(line => System.Text.Json.Nodes.JsonNode.Parse(line)!["step"]!.GetValue<int>()));
        Assert.Equal(Line, lines[0]);
        using (var writer = new MetricsWriter(path)) writer.Stepped(Step(1));
        Assert.Equal(Line + "\n", Read(path));
    }

    [Fact]
    public void A_skipped_step_says_why_and_stays_JSON()
    {
        using var folder = new TemporaryFolder();
        using var writer = new MetricsWriter(folder["metrics.jsonl"]);
        writer.Stepped(
            Step(1) with { Loss = double.NaN, GradientNorm = double.PositiveInfinity, Skipped = "the loss is NaN",
            SkippedSteps = 3 });
        Assert.Equal(
            "{\"step\":1,\"loss\":null,\"grad_norm\":null,\"learning_rate\":0.0001,\"tokens\":64," +
            "\"tokens_per_second\":1000.5,\"skipped\":\"the loss is NaN\",\"skipped_steps\":3}\n",
            Read(folder["metrics.jsonl"]));
    }

    [Theory]
    [InlineData("{\"step\":3,\"lo")]
    [InlineData("\0\0\0\0\n\0\0\n")]
    [InlineData("")]
    public void What_a_kill_or_a_loss_of_power_left_at_the_end_goes(string torn)
    {
        using var folder = new TemporaryFolder();
        string path = folder["metrics.jsonl"];
        string line2 = Line.Replace("\"step\":1", "\"step\":2", StringComparison.Ordinal);
        File.WriteAllText(path, $"{Line}\n{line2}\n{torn}");
        // The last step was taken before the kill: no further step follows.
        using (var writer = new MetricsWriter(path, resume: true))
            writer.Started(new TrainingPlan(2, 1, 1, 1, "x") { ResumedFrom = 2 });
        Assert.Equal($"{Line}\n{line2}\n", Read(path));
        using (var writer = new MetricsWriter(path, resume: true))
            writer.Started(new TrainingPlan(2, 1, 1, 1, "x") { ResumedFrom = 1 });
        Assert.Equal($"{Line}\n", Read(path));
    }

    [Fact]
    public void A_held_out_loss_that_is_no_number_is_null()
    {
        using var folder = new TemporaryFolder();
        using var writer = new MetricsWriter(folder["metrics.jsonl"]);
        writer.Evaluated(new EvaluationResult(1, double.NaN, 12));
        Assert.Equal("{\"step\":1,\"eval_loss\":null,\"eval_tokens\":12}\n", Read(folder["metrics.jsonl"]));
    }

    [Fact]
    public void Memory_and_what_the_model_wrote_are_in_their_lines()
    {
        using var folder = new TemporaryFolder();
        using var writer = new MetricsWriter(folder["metrics.jsonl"]);
        writer.Stepped(Step(1) with { MemoryBytes = 123 });
        writer.Evaluated(new EvaluationResult(1, 0.5, 12) { Generations = [new GeneratedText("a\n", "b")] });
        Assert.Equal(Line.Replace("}", ",\"memory_bytes\":123}", StringComparison.Ordinal)
            + "\n{\"step\":1,\"eval_loss\":0.5,\"eval_tokens\":12,"
            + "\"generations\":[{\"prompt\":\"a\\n\",\"text\":\"b\"}]}\n",
            Read(folder["metrics.jsonl"]));
    }

    [Fact]
    public void A_foreign_file_is_not_resumed()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["metrics.jsonl"], "not json\n");
        using var writer = new MetricsWriter(folder["metrics.jsonl"], resume: true);
        var e = Assert.Throws<InputException>(
            () => writer.Started(new TrainingPlan(1, 1, 1, 1, "x") { ResumedFrom = 1 }));
        Assert.Contains("not a measurement: not json", e.Message);
    }

    [Fact]
    public void A_group_tells_everyone_in_order()
    {
        using var folder = new TemporaryFolder();
        using (var first = new MetricsWriter(folder["a"]))
        using (var second = new MetricsWriter(folder["b"]))
        {
            var group = new ObserverGroup(first, second);
            group.Started(new TrainingPlan(1, 1, 1, 1, "x"));
            group.Stepped(Step(1));
            group.Evaluated(new EvaluationResult(1, 1, 1));
            group.Finished(new TrainingResult(1, 1, null, null, 1, TimeSpan.Zero, 1, "x"));
        }
        Assert.Equal(2, File.ReadAllLines(folder["a"]).Length);
        Assert.Equal(File.ReadAllText(folder["a"]), File.ReadAllText(folder["b"]));
    }

    private static string Read(string path)
    {
        using var reader = new StreamReader(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        return reader.ReadToEnd();
    }
}
