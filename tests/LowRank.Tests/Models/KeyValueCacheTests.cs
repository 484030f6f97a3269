using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Models;

/// <summary>The cache's memory grows with the text, not with what it may come to hold.</summary>
public sealed class KeyValueCacheTests
{
    [Fact]
    public void Memory_is_for_the_positions_that_are_held()
    {
        using var scope = NewDisposeScope();
        using var tiny = new TinyModel(TinyModel.With(TinyModel.Llama, "max_position_embeddings", 2000));
        using var cache = new KeyValueCache(tiny.Model.Decoder.Shape, 2, int.MaxValue, CPU);
        Assert.Equal(256, cache.Allocated);
        using var noGradient = no_grad();
        tiny.Model.Decoder.Forward(ones(2, 300, ScalarType.Int64), null, cache);
        Assert.Equal((300, 512), (cache.Length, cache.Allocated));
        tiny.Model.Decoder.Forward(ones(2, 900, ScalarType.Int64), null, cache);
        Assert.Equal((1200, 1200), (cache.Length, cache.Allocated));
        tiny.Model.Decoder.Forward(ones(2, 1, ScalarType.Int64), null, cache);
        Assert.Equal((1201, 1800), (cache.Length, cache.Allocated));
        Assert.Equal([2, 2, 1800, 4], cache.Layer(1).Keys.shape);
        cache.Keep(3);
        Assert.Equal((3, 1800), (cache.Length, cache.Allocated));
    }

    [Fact]
    public void Growing_changes_no_bit()
    {
        using var tiny =
            new TinyModel(
                TinyModel.With(
                    TinyModel.With(TinyModel.Llama, "max_position_embeddings", 600), "initializer_range", 0.5));
        Decoder model = tiny.Model.Decoder;
        using var noGradient = no_grad();
        using var growing = new KeyValueCache(model.Shape, 1, 600, CPU);
        using var large = new KeyValueCache(model.Shape, 1, 600, CPU);
        large.RequireRoom(600);
        Assert.Equal((256, 600), (growing.Allocated, large.Allocated));
        long live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        for (int step = 0; step < 280; step++)
        {
            using var scope = NewDisposeScope();
            Tensor token = TinyModel.Ids((step * 7) % 32);
            Tensor one = model.Forward(token, null, growing), other = model.Forward(token, null, large);
            Assert.Equal(other.data<float>().ToArray(), one.data<float>().ToArray());
        }
        Assert.Equal((512, 280), (growing.Allocated, growing.Length));
        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    private const string Scaled =
        """{"rope_type": "TYPE", "factor": 4.0, "original_max_position_embeddings": 32, "low_freq_factor": 1, "high_freq_factor": 4}""";

    // Linear and dynamic scaling leave max_position_embeddings as it was; yarn's and llama3's may say the stretched
    // length, or not.
    [Theory]
    [InlineData("default", 64)]
    [InlineData("linear", 256)]
    [InlineData("dynamic", 256)]
    [InlineData("yarn", 128)]
    [InlineData("llama3", 64)]
    public void A_context_is_as_long_as_the_scaling_makes_it(string type, int expected)
    {
        using var tiny =
            new TinyModel(
                TinyModel.With(
                    TinyModel.Llama, "rope_scaling",
                    System.Text.Json.Nodes.JsonNode.Parse(Scaled.Replace("TYPE", type, StringComparison.Ordinal))));
        Assert.Equal(expected, tiny.Model.Decoder.Shape.ContextLength);
    }
}
