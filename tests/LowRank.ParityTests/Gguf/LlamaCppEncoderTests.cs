using System.Text.Json.Nodes;
using LowRank.Models;
using LowRank.Models.Gguf;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests.Gguf;

/// <summary>The states of encoders in llama.cpp, against this library.</summary>
public sealed class LlamaCppEncoderTests
{
    [Theory, InlineData("bert"), InlineData("distilbert"), InlineData("roberta"), InlineData("xlm-roberta"),
        InlineData("modernbert")]
    public void Each_token_has_the_same_state_in_llama_cpp(string family)
    {
        Assert.SkipWhen(LlamaServer.Root is null, "llama.cpp is not at hand: set REF to a root that has it.");
        using var folder = new TemporaryFolder();
        string model = WithTokenizer(
            Path.Combine(AppContext.BaseDirectory, "Fixtures", "goldens", family), folder["model"]);
        GgufModel.Write(model, folder["f32.gguf"], "f32");
        using PretrainedModel opened = PretrainedModel.Open(model, head: new HeadRequest(HeadKind.None, 0));
        using LlamaServer server = LlamaServer.Open(
            folder["f32.gguf"], "--embeddings", "--pooling", "none", "-b", "64", "-ub", "64");
        int[] prompt = [2, 17, 100, 33, 5, 90, 41, 3];
        using var scope = NewDisposeScope();
        Tensor found = stack(server.States(prompt).Select(state => tensor(state)));
        double most = Golden.LargestDeviation(States(opened, prompt), found), exact;
        // llama.cpp computes modern-bert's gelu itself.
        using (family == "modernbert" ? null : TableGelu.In(opened.Network))
            exact = Golden.LargestDeviation(States(opened, prompt), found);
        if (Environment.GetEnvironmentVariable("LOWRANK_GGUF_TABLE") is { Length: > 0 } table)
            File.AppendAllText(table, FormattableString.Invariant(
                $"{family}\tstates\t{most:g2}\n{family}\tstates, with the same table of gelu\t{exact:g2}\n"));
        Assert.InRange(most, 0, 5e-3);
        Assert.InRange(exact, 0, 1e-4);
    }

    private static Tensor States(PretrainedModel model, int[] prompt)
    {
        using var noGradient = no_grad();
        return model.Sequence.States(
            new ModelInput(tensor(prompt.Select(id => (long)id).ToArray()).view(1, -1)))[0];
    }

    // A copy of a reference case with a tokenizer of single characters.
    private static string WithTokenizer(string source, string target)
    {
        Directory.CreateDirectory(target);
        foreach (string file in Directory.GetFiles(source))
            File.Copy(file, Path.Combine(target, Path.GetFileName(file)));
        JsonNode config = JsonNode.Parse(File.ReadAllText(Path.Combine(source, "config.json")))!;
        int size = config["vocab_size"]!.GetValue<int>();
        string[] special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
        var vocabulary = new JsonObject();
        foreach ((int id, string token) in special.Concat(
            Enumerable.Range(0, size - special.Length).Select(n => $"{(char)(0x4e00 + n)}")).Index())
            vocabulary[token] = id;
        JsonNode Special(string token) =>
            new JsonObject { ["SpecialToken"] = new JsonObject { ["id"] = token, ["type_id"] = 0 } };
        JsonNode Known(string token, int id) => new JsonObject
        {
            ["id"] = token, ["ids"] = new JsonArray(id), ["tokens"] = new JsonArray(token),
        };
        var json = new JsonObject
        {
            ["version"] = "1.0",
            ["added_tokens"] = new JsonArray([.. special.Select((token, id) => (JsonNode)new JsonObject
            {
                ["id"] = id, ["content"] = token, ["special"] = true, ["normalized"] = false,
            })]),
            ["normalizer"] = new JsonObject { ["type"] = "BertNormalizer", ["lowercase"] = true },
            ["pre_tokenizer"] = new JsonObject { ["type"] = "BertPreTokenizer" },
            ["post_processor"] = new JsonObject
            {
                ["type"] = "TemplateProcessing",
                ["single"] = new JsonArray(
                    Special("[CLS]"),
                    new JsonObject { ["Sequence"] = new JsonObject { ["id"] = "A", ["type_id"] = 0 } },
                    Special("[SEP]")),
                ["special_tokens"] = new JsonObject { ["[CLS]"] = Known("[CLS]", 2), ["[SEP]"] = Known("[SEP]", 3) },
            },
            ["model"] = new JsonObject
            {
                ["type"] = "WordPiece", ["unk_token"] = "[UNK]", ["continuing_subword_prefix"] = "##",
                ["max_input_chars_per_word"] = 100, ["vocab"] = vocabulary,
            },
        };
        File.WriteAllText(Path.Combine(target, "tokenizer.json"), json.ToJsonString());
        return target;
    }
}
