using LowRank.Generation;
using LowRank.Models;
using LowRank.Models.Families;
using static TorchSharp.torch;

namespace LowRank.Tests.Models;

public sealed class DecoderLimitTests
{
    [Fact]
    public void Learned_positions_end()
    {
        using var scope = NewDisposeScope();
        using var tiny = new TinyModel(TinyModel.Gpt2);
        using Tensor most = tiny.Model.Decoder.Forward(zeros([1, 12], ScalarType.Int64));
        Assert.Equal([1, 12, 32], most.shape);
        var e = Assert.Throws<InputException>(() => tiny.Model.Decoder.Forward(zeros([1, 13], ScalarType.Int64)));
        Assert.Contains("13 tokens; this model has learned positions for 12", e.Message);
        using var cache = new KeyValueCache(tiny.Model.Decoder.Shape, 1, 20, CPU);
        tiny.Model.Decoder.Forward(zeros([1, 12], ScalarType.Int64), null, cache);
        Assert.Throws<InputException>(() => tiny.Model.Decoder.Forward(zeros([1, 1], ScalarType.Int64), null, cache));
        Assert.Equal(12, cache.Length);
    }

    [Fact]
    public void A_full_cache_says_so_and_stays_as_it_was()
    {
        using var scope = NewDisposeScope();
        using var tiny = new TinyModel();
        Decoder model = tiny.Model.Decoder;
        using var cache = new KeyValueCache(model.Shape, 1, 4, CPU);
        model.Forward(TinyModel.Ids(1, 2, 3), null, cache);
        var e = Assert.Throws<InvalidOperationException>(() => model.Forward(TinyModel.Ids(4, 5), null, cache));
        Assert.Contains("3 positions and room for 4", e.Message);
        Assert.Equal(3, cache.Length);
        using Tensor next = model.Forward(TinyModel.Ids(4), null, cache),
            whole = model.Forward(TinyModel.Ids(1, 2, 3, 4));
        Assert.InRange((next[0, 0] - whole[0, 3]).abs().max().item<float>(), 0, 1e-5);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(32)]
    public void Tokens_outside_the_vocabulary_are_named_before_anything_is_computed(int token)
    {
        using var tiny = new TinyModel();
        var e = Assert.Throws<InputException>(
            () => new TextGenerator(tiny.Model.Decoder).Generate([[1], [2, token]], new GenerationOptions()));
        Assert.Contains($"Prompt 2 has token {token} at position 1", e.Message);
        e = Assert.Throws<InputException>(
            () => new TextGenerator(tiny.Model.Decoder).Generate([[1], []], new GenerationOptions()));
        Assert.Contains("Prompt 2 has no tokens", e.Message);
    }

    [Fact]
    public void Every_problem_of_a_config_is_named_at_once()
    {
        ConfigReader config = ConfigReader.Parse("""
            {"model_type": "llama", "vocab_size": 0, "hidden_size": "x", "intermediate_size": 2.5, "num_attention_heads": 4,
             "num_key_value_heads": 3, "hidden_act": "swoosh", "tie_word_embeddings": "yes", "quantization_config": {}}
            """, "config.json");
        using var weights = new RandomWeights(0.02, 1);
        string message = Assert.Throws<InputException>(() => Build(config, weights)).Message;
        foreach (
            string part in new[] { "vocab_size is 0", "hidden_size is \"x\"", "intermediate_size is 2.5",
            "num_hidden_layers is missing",
            "num_key_value_heads is 3", "hidden_act is \"swoosh\"", "tie_word_embeddings is \"yes\"",
            "quantization_config is {}" })
            Assert.Contains(part, message);
    }

    [Theory]
    [InlineData("{", "is not valid JSON")]
    [InlineData("[]", "does not hold a JSON object")]
    [InlineData("{}", "model_type is missing")]
    [InlineData("""{"model_type": 3}""", "model_type is missing")]
    public void A_broken_config_is_named(string json, string expected) =>
        Assert.Contains(expected, Assert.Throws<InputException>(() => ConfigReader.Parse(json, "the-file")).Message);

    [Fact]
    public void An_unknown_family_names_the_known_ones()
    {
        ConfigReader config = ConfigReader.Parse("""{"model_type": "mamba"}""", "config.json");
        using var weights = new RandomWeights(0.02, 1);
        var e = Assert.Throws<InputException>(() => Build(config, weights));
        Assert.Contains("mamba", e.Message);
        Assert.Contains("llama", e.Message);
    }

    private static INetwork Build(ConfigReader config, IWeightSource weights) => FamilyRegistry.Get(config.ModelType)
        .Build(config, weights, CPU, trainable: false, new HeadRequest(HeadKind.LanguageModel));
}
