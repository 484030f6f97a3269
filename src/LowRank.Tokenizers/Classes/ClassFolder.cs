using System.Text.Json.Nodes;
using LowRank.Tokenizers.Decoders;
using LowRank.Tokenizers.Models;
using LowRank.Tokenizers.Normalizers;
using LowRank.Tokenizers.PostProcessors;
using LowRank.Tokenizers.PreTokenizers;

namespace LowRank.Tokenizers.Classes;

/// <summary>The files of a folder that a tokenizer class reads.</summary>
internal sealed class ClassFolder(string folder)
{
    /// <summary>The folder.</summary>
    public string Folder { get; } = folder;

    /// <summary>tokenizer_config.json; empty if there is none.</summary>
    public ComponentJson Config { get; } =
        new(TokenizerFolder.Json(Path.Combine(folder, "tokenizer_config.json")),
        Path.Combine(folder, "tokenizer_config.json"));

    /// <summary>config.json; empty if there is none.</summary>
    public JsonObject Model { get; } = TokenizerFolder.Json(Path.Combine(folder, "config.json"));

    /// <summary>The path of a file.</summary>
    public string At(string name) => Path.Combine(Folder, name);

    /// <summary>A component in the form of tokenizer.json.</summary>
    public ComponentJson Component(string json) => new(JsonNode.Parse(json)!.AsObject(), Config.Place);
}

/// <summary>The tokenizer that a class builds from a folder.</summary>
internal sealed record ClassParts(ITokenModel Model, ClassTokens Tokens, SpecialTokenFrame Frame, IDecoder Decoder)
{
    /// <summary>The normalizer; null for none.</summary>
    public INormalizer? Normalizer { get; init; }

    /// <summary>The pre-tokenizer; null for none.</summary>
    public IPreTokenizer? PreTokenizer { get; init; }
}
