using LowRank.Cli.Bench;

namespace LowRank.Tools.Tests.Bench;

/// <summary><c>lowrank bench compute</c>.</summary>
public sealed class ComputeBenchTests
{
    [Fact]
    public void Losses_of_both_types_come_for_each_seed()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllLines(folder["rows.jsonl"], File.ReadLines(
            Path.Combine(RepositoryFiles.Root, "samples", "hotels", "validation.jsonl")).Take(2));
        IReadOnlyList<ComputeOutcome> found = ComputeBenchmark.Measure(
            Path.Combine(RepositoryFiles.Root, "recipes", "quickstart.yaml"), [1, 2],
            ["training.epochs=null", "training.steps=2", "training.batch_size=2", "training.max_length=128",
            $"data.train=[{folder["rows.jsonl"]}]", $"data.validation=[{folder["rows.jsonl"]}]"]);
        Assert.Equal([1, 2], found.Select(run => run.Seed));
        Assert.All(found, run =>
        {
            Assert.NotEqual(run.Float32, run.BFloat16);
            Assert.InRange(run.BFloat16 / run.Float32, 0.99, 1.01);
        });
        Assert.NotEqual(found[0].Float32, found[1].Float32);
    }
}
