using System.Text.Json;
using LowRank.Cli.Bench;

namespace LowRank.Tools.Tests.Bench;

/// <summary>What <c>lowrank bench attention</c> measures and refuses.</summary>
[Collection("alone")]
public sealed class AttentionBenchTests
{
    [Fact]
    public void Every_shape_is_measured_both_ways()
    {
        IReadOnlyList<AttentionTimes> found = AttentionBench.Run(1, null);
        Assert.Equal(AttentionShape.All, found.Select(times => times.Shape));
        Assert.All(found,
            times => Assert.All(
                [times.Forward, times.Backward, times.Evaluation, times.TorchForward, times.TorchBackward,
                times.TorchEvaluation],
            seconds => Assert.InRange(seconds, double.Epsilon, double.MaxValue)));
        JsonElement json = JsonSerializer.SerializeToElement(AttentionBenchmark.Json(found[0]));
        Assert.Equal(found[0].TorchBackward / found[0].Backward, json.GetProperty("backward_speedup")
            .GetDouble(), 1e-9);
    }

    [Fact]
    public void Shapes_have_names_of_their_own_and_heads_that_can_be_shared()
    {
        Assert.Equal(AttentionShape.All.Count, AttentionShape.All.Select(shape => shape.Name).Distinct().Count());
        Assert.All(AttentionShape.All, shape => Assert.Equal(0, shape.Heads % shape.KeyValueHeads));
    }
}
