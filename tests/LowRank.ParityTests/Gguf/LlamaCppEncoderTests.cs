using System.Text.Json.Nodes;
using LowRank.Models;
using LowRank.Models.Gguf;
using LowRank.Models.Sentences;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests.Gguf;

/// <summary>States of tokens, vectors of texts and scores of labels in llama.cpp, against this library.</summary>
public sealed class LlamaCppEncoderTests
{
    private const string Skip = "llama.cpp is not at hand: set REF to a root that has it.";

    private static readonly string Goldens = Path.Combine(AppContext.BaseDirectory, "Fixtures", "goldens");
    private static readonly int[] Prompt = [2, 17, 100, 33, 5, 90, 41, 3];

    [Theory, InlineData("bert"), InlineData("distilbert"), InlineData("roberta"), InlineData("xlm-roberta"),
        InlineData("modernbert")]
    public void Each_token_has_the_same_state_in_llama_cpp(string family)
    {
        Assert.SkipWhen(LlamaServer.Root is null, Skip);
        using var folder = new TemporaryFolder();
        string model = WithTokenizer(Path.Combine(Goldens, family), folder["model"]);
        GgufModel.Write(model, folder["f32.gguf"], "f32");
        using PretrainedModel opened = PretrainedModel.Open(model, head: new HeadRequest(HeadKind.None, 0));
        using LlamaServer server = LlamaServer.Open(
            folder["f32.gguf"], "--embeddings", "--pooling", "none", "-b", "64", "-ub", "64");
        using var scope = NewDisposeScope();
        Tensor found = stack(server.States(Prompt).Select(state => tensor(state)));
        Compare(family, "states", opened, found, () => opened.Sequence.States(Input)[0]);
    }

    [Theory, InlineData("bert"), InlineData("bert_multi_label"), InlineData("bert_regression"), InlineData("roberta"),
        InlineData("xlm-roberta"), InlineData("modernbert"), InlineData("modernbert", "mean")]
    public void The_labels_of_a_text_have_the_same_scores_in_llama_cpp(string family, string? pooling = null)
    {
        Assert.SkipWhen(LlamaServer.Root is null, Skip);
        using var folder = new TemporaryFolder();
        string model = WithTokenizer(Path.Combine(Goldens, family), folder["model"]);
        if (pooling is not null)
        {
            string config = Path.Combine(model, "config.json");
            JsonNode json = JsonNode.Parse(File.ReadAllText(config))!;
            json["classifier_pooling"] = pooling;
            File.WriteAllText(config, json.ToJsonString());
        }
        Assert.Contains("scores the labels", GgufModel.Write(model, folder["f32.gguf"], "f32")[0],
            StringComparison.Ordinal);
        using PretrainedModel opened = PretrainedModel.Open(model);
        using var scope = NewDisposeScope();
        Tensor found = LlamaServer.Library(folder["f32.gguf"], Prompt)[0];
        Compare(family, $"labels {pooling}".TrimEnd(), opened, found, () => opened.Sequence.Scores(Input)[0]);
    }

    [Theory, InlineData("bert", "cls"), InlineData("bert", "mean"), InlineData("roberta", "mean"),
        InlineData("modernbert", "cls"), InlineData("qwen2", "lasttoken"), InlineData("llama", "mean")]
    public void A_text_has_the_same_vector_in_llama_cpp(string family, string pooling)
    {
        Assert.SkipWhen(LlamaServer.Root is null, Skip);
        using var folder = new TemporaryFolder();
        string model = WithTokenizer(Path.Combine(Goldens, family), folder["model"]);
        using PretrainedModel opened = PretrainedModel.Open(model, head: new HeadRequest(HeadKind.None, 0));
        var sentence = SentencePipeline.Plain(
            (int)opened.Network.TokenEmbedding.Weight.shape[1], SentenceFolder.Mode(pooling));
        SentenceFolder.Save(sentence, model);
        GgufModel.Write(model, folder["f32.gguf"], "f32");
        // How states become a vector is in the file.
        using LlamaServer server = LlamaServer.Open(folder["f32.gguf"], "--embeddings", "-b", "64", "-ub", "64");
        using var scope = NewDisposeScope();
        Tensor found = tensor(Assert.Single(server.States(Prompt)));
        Compare(family, "vector " + pooling, opened, found,
            () => sentence.Apply(opened.Sequence.States(Input), null)[0]);
    }

    // With llama.cpp's table of gelu, where it has one, to 1e-4.
    private static void Compare(
        string family, string what, PretrainedModel model, Tensor found, Func<Tensor> compute)
    {
        using var noGradient = no_grad();
        double most = Golden.LargestDeviation(compute(), found), exact;
        bool hasTable = family.Contains("bert", StringComparison.Ordinal) && family != "modernbert";
        using (hasTable ? TableGelu.In(model.Network) : null) exact = Golden.LargestDeviation(compute(), found);
        if (Environment.GetEnvironmentVariable("LOWRANK_GGUF_TABLE") is { Length: > 0 } table)
            lock (Prompt)
                File.AppendAllText(table, FormattableString.Invariant(
                    $"{family}\t{what}\t{most:g2}\n{family}\t{what}, with the same table of gelu\t{exact:g2}\n"));
        Assert.InRange(most, 0, 5e-3);
        Assert.InRange(exact, 0, 1e-4);
    }

    private static ModelInput Input => new(tensor(Prompt.Select(id => (long)id).ToArray()).view(1, -1));

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
