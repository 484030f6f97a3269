using System.Text.Json.Nodes;
using LowRank.Generation;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

public sealed class DecoderParityTests
{
    private const double Tolerance = 1e-4; // absolute, on float32 logits

    public static TheoryData<string> Decoders => [.. Golden.Decoders, .. Golden.Settings];

    // Dynamic rope turns keys by the length at hand: keys cached at a shorter length differ, in transformers as here.
    // LongRoPE turns all keys anew where a text grows beyond the original length.
    public static TheoryData<string> WithDynamic =>
        [.. Decoders, "rope_dynamic", "phi3_longrope", "phi3_longrope_partial"];

    [Theory, MemberData(nameof(WithDynamic))]
    public void Logits_equal_the_reference_with_padding_on_the_right(string family)
    {
        using var golden = new Golden(family);
        using var scope = NewDisposeScope();
        Tensor logits = golden.Model.Decoder.Forward(golden.Read("input_ids"), golden.Read("attention_mask"));
        Assert.InRange(Golden.LargestDeviation(logits, golden.Read("logits")), 0, Tolerance);
    }

    [Theory]
    [InlineData("phi3_longrope")]
    [InlineData("phi3_longrope_partial")]
    public void LongRoPE_takes_its_short_factors_within_the_original_length(string name)
    {
        using var golden = new Golden(name);
        using var scope = NewDisposeScope();
        Tensor logits =
            golden.Model.Decoder.Forward(golden.Read("short.input_ids"), golden.Read("short.attention_mask"));
        Assert.InRange(Golden.LargestDeviation(logits, golden.Read("short.logits")), 0, Tolerance);
    }

    [Theory, MemberData(nameof(Decoders))]
    public void Padding_on_the_left_changes_no_real_position(string family)
    {
        using var golden = new Golden(family);
        using var scope = NewDisposeScope();
        Tensor ids = golden.Read("input_ids"), mask = golden.Read("attention_mask"), expected = golden.Read("logits");
        int length = (int)mask[1].sum().item<long>(), padding = 24 - length;
        Tensor left = cat([zeros(padding, ScalarType.Int64, ids.device), ids[1].narrow(0, 0, length)]).unsqueeze(0);
        Tensor leftMask =
            cat([zeros(padding, ScalarType.Int64, ids.device), ones(length, ScalarType.Int64, ids.device)]).unsqueeze(
                0);
        Tensor both = cat([ids[0].unsqueeze(0), left]), bothMask = cat([mask[0].unsqueeze(0), leftMask]);
        Tensor logits = golden.Model.Decoder.Forward(both, bothMask);
        Assert.InRange(Golden.LargestDeviation(logits[0], expected[0]), 0, Tolerance);
        Assert.InRange(Golden.LargestDeviation(logits[1].narrow(0, padding, length), expected[1].narrow(0, 0, length)),
            0, Tolerance);
        Assert.True(logits.isfinite().all().item<bool>());
    }

    [Theory, MemberData(nameof(Decoders))]
    [InlineData("phi3_longrope")]
    [InlineData("phi3_longrope_partial")]
    public void Greedy_tokens_equal_the_reference_with_cache(string family)
    {
        using var folder = new TemporaryFolder();
        using var golden = new Golden(family, WithPositions(family, folder.Path, 32));
        using var scope = NewDisposeScope();
        int[] expected = [.. golden.Read("greedy").cpu().data<long>().Select(id => (int)id)];
        IReadOnlyList<int> made = new TextGenerator(golden.Model.Decoder)
            .Generate([expected[..8]], new GenerationOptions { MaxNewTokens = 16 })[0];
        Assert.Equal(expected[8..], made);
    }

    // transformers goes on where a text leaves the positions that config.json names; generation here ends there. Cases
    // whose text is longer are opened with more positions, which change nothing else where positions are turned.
    private static string? WithPositions(string family, string folder, int positions)
    {
        string own = Path.Combine(AppContext.BaseDirectory, "Fixtures", "goldens", family);
        JsonObject config = JsonNode.Parse(File.ReadAllText(Path.Combine(own, "config.json")))!.AsObject();
        if (config["rope_parameters"]?["rope_type"]?.GetValue<string>() is not (null or "default")
            || config["max_position_embeddings"] is not { } stated || stated.GetValue<int>() >= positions) return null;
        config["max_position_embeddings"] = positions;
        File.WriteAllText(Path.Combine(folder, "config.json"), config.ToJsonString());
        File.Copy(Path.Combine(own, "model.safetensors"), Path.Combine(folder, "model.safetensors"));
        return folder;
    }

    [Theory, MemberData(nameof(WithDynamic))]
    public void Greedy_tokens_equal_the_reference_without_cache(string family)
    {
        using var golden = new Golden(family);
        using var scope = NewDisposeScope();
        Tensor expected = golden.Read("greedy");
        Tensor ids = expected.narrow(1, 0, 8);
        for (int i = 0; i < 16; i++)
            ids = cat([ids, golden.Model.Decoder.Forward(ids).select(1, -1).argmax(-1).view(1, 1)], 1);
        Assert.Equal(expected.cpu().data<long>().ToArray(), ids.cpu().data<long>().ToArray());
    }

    [Fact]
    public void A_padded_batch_that_grows_beyond_the_original_length_is_computed_anew()
    {
        using var golden = new Golden("phi3_longrope");
        int[] ids = [.. golden.Read("input_ids")[0].cpu().data<long>().Select(id => (int)id)];
        var options = new GenerationOptions { MaxNewTokens = 16 };
        var generator = new TextGenerator(golden.Model.Decoder);
        IReadOnlyList<IReadOnlyList<int>> together = generator.Generate([ids[..8], ids[..5]], options);
        Assert.Equal(generator.Generate([ids[..8]], options)[0], together[0]);
        Assert.Equal(16, together[1].Count);
    }

    [Theory, MemberData(nameof(Decoders))]
    public void Cached_steps_give_the_logits_of_the_whole(string family)
    {
        using var golden = new Golden(family);
        using var scope = NewDisposeScope();
        Decoder model = golden.Model.Decoder;
        Tensor ids = golden.Read("input_ids")[2].unsqueeze(0), whole = golden.Read("logits")[2];
        using var cache = new KeyValueCache(model.Shape, 1, 24, model.Device);
        Tensor prompt = model.Forward(ids.narrow(1, 0, 10), null, cache);
        Tensor several = model.Forward(ids.narrow(1, 10, 5), null, cache);
        var steps = Enumerable.Range(15, 9).Select(i => model.Forward(ids.narrow(1, i, 1), null, cache)).ToList();
        Tensor together = cat([prompt, several, .. steps], 1)[0];
        Assert.InRange(Golden.LargestDeviation(together, whole), 0, Tolerance);
    }

    [Theory, MemberData(nameof(Decoders))]
    public void Prompts_of_different_lengths_generate_together_as_alone(string family)
    {
        using var golden = new Golden(family);
        var generator = new TextGenerator(golden.Model.Decoder);
        int[] ids = [.. golden.Read("input_ids")[0].cpu().data<long>().Select(id => (int)id)];
        int[][] prompts = [ids[..3], ids[..11], ids[4..9]];
        var options = new GenerationOptions { MaxNewTokens = 12 };
        IReadOnlyList<IReadOnlyList<int>> together = generator.Generate(prompts, options);
        for (int i = 0; i < prompts.Length; i++)
            Assert.Equal(generator.Generate([prompts[i]], options)[0], together[i]);
    }
}
