using System.Text.Json.Nodes;
using LowRank.Tokenizers;

namespace LowRank.Models;

/// <summary>A model folder's generation settings: from <c>generation_config.json</c>, otherwise from
/// <c>config.json</c>.</summary>
/// <param name="EosTokenIds">Tokens that end a text; empty if none is specified.</param>
/// <param name="BosTokenId">The token that starts a text, or null.</param>
/// <param name="PadTokenId">The padding token, or null.</param>
public sealed record GenerationSettings(IReadOnlyList<int> EosTokenIds, int? BosTokenId, int? PadTokenId)
{
    /// <summary>The first of the tokens that end a text, or null.</summary>
    public int? EndOfText => EosTokenIds is [int first, ..] ? first : null;

    /// <summary>Every token that ends a text: the settings' and the tokenizer's.</summary>
    /// <param name="tokenizer">The tokenizer; null for none.</param>
    public IReadOnlyList<int> StopTokens(Tokenizer? tokenizer) =>
        [.. EosTokenIds.Concat(tokenizer?.EosTokenId is { } end ? [end] : []).Distinct()];

    /// <summary>Reads a model folder.</summary>
    /// <exception cref="InputException">The file exists but cannot be read.</exception>
    public static GenerationSettings Read(string folder, ConfigReader config)
    {
        string path = Path.Combine(folder, "generation_config.json");
        ConfigReader own = config;
        if (File.Exists(path))
        {
            // The reader requires a model_type, which generation configs do not contain.
            JsonObject root = JsonObjects.Read(path);
            root["model_type"] = config.ModelType;
            own = ConfigReader.Parse(root.ToJsonString(), path);
        }
        IReadOnlyList<int> Ids(string key) => own.Has(key) ? own.TokenIds(key) : config.TokenIds(key);
        int? First(string key) => Ids(key) is [int id, ..] ? id : null;
        var settings = new GenerationSettings(Ids("eos_token_id"), First("bos_token_id"), First("pad_token_id"));
        own.ThrowIfInvalid();
        return settings;
    }
}
