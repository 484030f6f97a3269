using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.IO;
using LowRank.Models;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

/// <summary>A config.json with any value that no model has is refused in words, before native code meets it.</summary>
public sealed class ConfigAttackTests
{
    private static readonly string[] Numbers = ["1000000000", "-1", "0", "3", "1e308", "0.5", "\"x\""],
        Others = ["1000000000", "[7]"];

    public static TheoryData<string, string> Families => new()
    {
        { "config_keys", "llama" }, { "config_keys", "qwen3_moe" }, { "config_keys", "gemma3_text" },
            { "config_keys", "phi3" }, { "config_keys", "gpt2" },
        { "config_keys", "gpt_neox" }, { "config_keys", "opt" }, { "goldens", "falcon" }, { "goldens", "bloom" },
            { "goldens", "gptj" }, { "goldens", "smollm3" }, { "goldens", "ministral3" }, { "goldens", "cohere2" },
            { "goldens", "granite" }, { "goldens", "qwen2_moe" }, { "goldens", "stablelm" }, { "sharing", "bert_head" },
            { "sharing", "roberta_head" }, { "sharing", "distilbert_head" },
        { "sharing", "modernbert_head" }, { "sharing", "t5_head" },
    };

    [Theory, MemberData(nameof(Families))]
    public void Every_key_takes_what_it_can_use_and_refuses_the_rest_in_words(string kind, string family)
    {
        string source = Path.Combine(AppContext.BaseDirectory, "Fixtures", kind, family);
        JsonObject config = JsonNode.Parse(File.ReadAllText(Path.Combine(source, "config.json")))!.AsObject();
        using var folder = new TemporaryFolder();
        File.Copy(Path.Combine(source, Checkpoint.SingleFileName), folder[Checkpoint.SingleFileName]);
        foreach (string key in config.Select(pair => pair.Key).Where(key => key is not "model_type").ToList())
            foreach (string value in config[key]?.GetValueKind() == JsonValueKind.Number ? Numbers : Others)
            {
                JsonObject changed = config.DeepClone().AsObject();
                changed[key] = JsonNode.Parse(value);
                File.WriteAllText(folder["config.json"], changed.ToJsonString());
                if (Record.Exception(() => Compute(folder.Path)) is { } failure and not InputException)
                    Assert.Fail($"{key}: {value}: {failure}");
            }
    }

    [Fact]
    public void Sizes_beyond_any_model_are_refused_by_name()
    {
        JsonObject config =
            JsonNode.Parse(
                File.ReadAllText(
                    Path.Combine(AppContext.BaseDirectory, "Fixtures", "config_keys", "llama",
                    "config.json")))!.AsObject();
        using var folder = new TemporaryFolder();
        config["num_attention_heads"] = 1_000_000_000;
        config["vocab_size"] = 1 << 25;
        File.WriteAllText(folder["config.json"], config.ToJsonString());
        IReadOnlyList<string> problems = Assert.Throws<InputException>(
            () => PretrainedModel.FromScratch(folder.Path, 1)).Problems;
        Assert.Contains(
            problems, problem =>
            problem.Contains(
                "num_attention_heads is 1000000000; supported here: 1 to 16777216", StringComparison.Ordinal));
        Assert.Contains(problems, problem => problem.Contains("vocab_size is 33554432", StringComparison.Ordinal));
    }

    private static void Compute(string folder)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        using PretrainedModel model = SharingCase.Open(folder);
        var input = new ModelInput(
            tensor(new long[] { 5, 6, 7, 8, 0, 0 }).view(2, 3), tensor(new long[] { 1, 1, 1, 1, 0, 0 }).view(2, 3));
        _ = model.Network is EncoderDecoder pair ? pair.Forward(input, input.Tokens)
            : ((ISequenceNetwork)model.Network).Scores(input);
    }
}
