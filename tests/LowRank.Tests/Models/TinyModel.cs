using System.Text.Json.Nodes;
using LowRank.IO;
using LowRank.Models;
using static TorchSharp.torch;

namespace LowRank.Tests.Models;

/// <summary>A folder with a very small model of random weights.</summary>
internal sealed class TinyModel : IDisposable
{
    public const string Llama = """
        {"model_type": "llama", "vocab_size": 32, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
         "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64, "tie_word_embeddings": false}
        """;

    public const string Gpt2 = """
        {"model_type": "gpt2", "vocab_size": 32, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 12,
         "embd_pdrop": 0, "attn_pdrop": 0, "resid_pdrop": 0}
        """;

    private readonly TemporaryFolder folder = new();

    public TinyModel(string config = Llama, long seed = 1)
    {
        File.WriteAllText(folder["config.json"], config);
        Model = PretrainedModel.FromScratch(folder.Path, seed);
    }

    public PretrainedModel Model { get; }

    public string Path => folder.Path;

    /// <summary>Writes the weights beside the config, renamed, converted or dropped (null).</summary>
    public void Save(Func<string, Tensor, (string Name, Tensor Weight)?>? change = null)
    {
        using var scope = NewDisposeScope();
        SafeTensorsWriter.Write(folder["model.safetensors"],
            [.. Model.Decoder.Parameters.Select(
                p => change is null ? (p.Key, p.Value) : change(p.Key, p.Value)).OfType<(string Name, Tensor Weight)>()
                .Select(p => KeyValuePair.Create(p.Name, p.Weight.detach()))]);
    }

    public static string With(string config, string key, JsonNode? value)
    {
        JsonObject changed = JsonNode.Parse(config)!.AsObject();
        changed[key] = value;
        return changed.ToJsonString();
    }

    public static Tensor Ids(params long[] ids) => tensor(ids).unsqueeze(0);

    public void Dispose()
    {
        Model.Dispose();
        folder.Dispose();
    }
}
