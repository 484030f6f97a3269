using System.Text.Json;
using System.Text.Json.Nodes;

namespace LowRank.Tokenization;

/// <summary>What the files beside tokenizer.json say: the roles of special tokens and the chat templates.</summary>
/// <param name="SpecialTokens">bos_token, eos_token, pad_token, unk_token and others, to their text.</param>
/// <param name="ChatTemplates">The model's chat templates by name (<see cref="ChatTemplateFiles"/>).</param>
internal sealed record TokenizerFolder(IReadOnlyDictionary<string, string> SpecialTokens, IReadOnlyDictionary<string, string> ChatTemplates)
{
    /// <summary>Nothing said.</summary>
    public static TokenizerFolder Empty { get; } = new(new Dictionary<string, string>(), new Dictionary<string, string>());

    /// <summary>Reads tokenizer_config.json, special_tokens_map.json and chat templates where they are.</summary>
    public static TokenizerFolder Read(string folder)
    {
        JsonObject config = Json(Path.Combine(folder, "tokenizer_config.json"));
        var tokens = new Dictionary<string, string>();
        foreach (JsonObject source in new[] { config, Json(Path.Combine(folder, "special_tokens_map.json")) })
            foreach ((string key, JsonNode? node) in source)
                if (key.EndsWith("_token", StringComparison.Ordinal) && Text(node) is { } text) tokens[key] = text;
        return new TokenizerFolder(tokens, ChatTemplateFiles.Read(folder));
    }

    /// <summary>A text, or an AddedToken with its text as content; null for anything else.</summary>
    internal static string? Text(JsonNode? node) => node switch
    {
        JsonValue value when value.TryGetValue(out string? text) => text,
        JsonObject token => Text(token["content"]),
        _ => null,
    };

    /// <summary>A file's object; empty where there is no file.</summary>
    internal static JsonObject Json(string path)
    {
        return File.Exists(path) ? JsonObjects.Read(path) : [];
    }
}
