using System.Text.Json.Nodes;
using LowRank.Models;
using LowRank.Models.Gguf;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests.Gguf;

/// <summary>T5 in llama.cpp, against this library. Its server does not serve encoder-decoder models, so a script calls
/// its library.</summary>
public sealed class LlamaCppT5Tests
{
    private static readonly int[] Source = [4, 90, 7, 33, 150, 12, 61, 8, 5, 77, 1], Target = [0, 25, 4, 130, 61, 9];

    [Theory,
        InlineData("gated and tied",
            """ "feed_forward_proj": "gated-gelu", "num_decoder_layers": 2, "scale_decoder_outputs": false """),
        InlineData("gated, with a head of its own",
            """ "feed_forward_proj": "gated-gelu", "tie_word_embeddings": false """),
        InlineData("plain, with a shallow decoder",
            """ "feed_forward_proj": "relu", "num_decoder_layers": 1, "scale_decoder_outputs": true """)]
    public void Each_token_of_the_target_has_the_same_log_probabilities_in_llama_cpp(string name, string settings)
    {
        Assert.SkipWhen(LlamaServer.Root is null, "llama.cpp is not at hand: set REF to a root that has it.");
        using var folder = new TemporaryFolder();
        string model = Drawn(folder["t5"], settings);
        GgufModel.Write(model, folder["f32.gguf"], "f32");
        using PretrainedModel opened = PretrainedModel.Open(model);
        using var scope = NewDisposeScope();
        Tensor found = LlamaServer.Library(folder["f32.gguf"], Source, Target);
        double most = Golden.LargestDeviation(Here(opened), found), exact = most;
        if (settings.Contains("gelu", StringComparison.Ordinal))
            using (TableGelu.In(opened.Network)) exact = Golden.LargestDeviation(Here(opened), found);
        if (Environment.GetEnvironmentVariable("LOWRANK_GGUF_TABLE") is { Length: > 0 } table)
            File.AppendAllText(table, FormattableString.Invariant(
                $"t5\t{name}\t{most:g2}\nt5\t{name}, with the same table of gelu\t{exact:g2}\n"));
        Assert.InRange(most, 0, 5e-3);
        Assert.InRange(exact, 0, 1e-4);
    }

    private static Tensor Here(PretrainedModel model)
    {
        using var noGradient = no_grad();
        Tensor logits = ((EncoderDecoder)model.Network).Forward(new ModelInput(Ids(Source)), Ids(Target));
        return nn.functional.log_softmax(logits[0], -1);
    }

    private static Tensor Ids(int[] ids) => tensor(ids.Select(id => (long)id).ToArray()).view(1, -1);

    // A small T5 of random weights, with a tokenizer of single characters.
    private static string Drawn(string folder, string settings)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "config.json"), $$"""
            {"model_type": "t5", "d_model": 64, "d_kv": 16, "d_ff": 160, "num_heads": 4, "num_layers": 2,
             "vocab_size": 160, "relative_attention_max_distance": 128, "relative_attention_num_buckets": 32,
             "decoder_start_token_id": 0, "eos_token_id": 1, "pad_token_id": 0, "initializer_range": 0.05,
             {{settings}} }
            """);
        using (PretrainedModel drawn = PretrainedModel.FromScratch(folder, seed: 5))
        {
            using var random = new Generator().manual_seed(6);
            KeyValuePair<string, Tensor>[] head = settings.Contains("tie_word_embeddings", StringComparison.Ordinal)
                ? [KeyValuePair.Create("lm_head.weight", empty(160, 64).normal_(0, 0.05, random))] : [];
            IO.SafeTensorsWriter.Write(
                Path.Combine(folder, "model.safetensors"), [.. drawn.Network.Parameters, .. head]);
        }
        var pieces = new JsonArray([.. ((string[])["<pad>", "</s>", "<unk>", "▁"])
            .Concat(Enumerable.Range(0, 156).Select(n => $"{(char)(0x4e00 + n)}"))
            .Select(piece => (JsonNode)new JsonArray(piece, -3.0))]);
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), new JsonObject
        {
            ["version"] = "1.0",
            ["pre_tokenizer"] = new JsonObject
            {
                ["type"] = "Metaspace", ["replacement"] = "▁", ["prepend_scheme"] = "always",
            },
            ["model"] = new JsonObject { ["type"] = "Unigram", ["unk_id"] = 2, ["vocab"] = pieces },
        }.ToJsonString());
        return folder;
    }
}
