using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LowRank.Tokenizers;

/// <summary>The files and settings that a tokenizer is created from.</summary>
internal static class TokenizerFiles
{
    private static readonly string[] Names =
    [
        "added_tokens.json", "chat_template.jinja", "chat_template.json", "config.json", "merges.txt",
            "sentencepiece.bpe.model", "special_tokens_map.json", "spiece.model",
        "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "vocab.txt",
    ];

    /// <summary>A hash of all of them.</summary>
    /// <param name="text">The text of tokenizer.json, which may differ from the folder's.</param>
    /// <param name="folder">A model's folder; null for none.</param>
    /// <param name="endOfText">The token that ends a text.</param>
    public static string Fingerprint(string text, string? folder, int? endOfText)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(SHA256.HashData(Encoding.UTF8.GetBytes($"{endOfText} {text}")));
        foreach (string path in folder is null ? []
            : Names.Select(name => Path.Combine(folder, name)).Where(File.Exists)
            .Concat(ChatTemplateFiles.Further(folder)))
        {
            hash.AppendData(SHA256.HashData(Encoding.UTF8.GetBytes(Path.GetFileName(path))));
            hash.AppendData(SHA256.HashData(SmallFile.ReadBytes(path, SmallFile.MostOfVocabulary)));
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}

/// <summary>The contents of the files next to tokenizer.json: the roles of special tokens and the chat
/// templates.</summary>
/// <param name="SpecialTokens">bos_token, eos_token, pad_token, unk_token and others, with their text.</param>
/// <param name="ChatTemplates">The model's chat templates by name (<see cref="ChatTemplateFiles"/>).</param>
internal sealed record TokenizerFolder(
    IReadOnlyDictionary<string, string> SpecialTokens, IReadOnlyDictionary<string, string> ChatTemplates)
{
    /// <summary>No settings.</summary>
    public static TokenizerFolder Empty { get; } =
        new(new Dictionary<string, string>(), new Dictionary<string, string>());

    /// <summary>Reads tokenizer_config.json, special_tokens_map.json and chat templates if they exist.</summary>
    public static TokenizerFolder Read(string folder)
    {
        JsonObject config = Json(Path.Combine(folder, "tokenizer_config.json"));
        var tokens = new Dictionary<string, string>();
        foreach (JsonObject source in new[] { config, Json(Path.Combine(folder, "special_tokens_map.json")) })
            foreach ((string key, JsonNode? node) in source)
                if (key.EndsWith("_token", StringComparison.Ordinal) && Text(node) is { } text) tokens[key] = text;
        return new TokenizerFolder(tokens, ChatTemplateFiles.Read(folder));
    }

    /// <summary>A string, or an AddedToken with its text as content; null for anything else.</summary>
    internal static string? Text(JsonNode? node) => node switch
    {
        JsonValue value when value.TryGetValue(out string? text) => text,
        JsonObject token => Text(token["content"]),
        _ => null,
    };

    /// <summary>A file's object; empty if there is no file.</summary>
    internal static JsonObject Json(string path)
    {
        return File.Exists(path) ? JsonObjects.Read(path) : [];
    }
}

/// <summary>The chat templates of a folder by name, as in transformers 5: <c>chat_template.jinja</c> is "default", and
/// <c>additional_chat_templates/NAME.jinja</c> are the others. Without these, <c>chat_template</c> in
/// <c>tokenizer_config.json</c> (a string, or a list of named ones), otherwise in <c>chat_template.json</c>.</summary>
public static class ChatTemplateFiles
{
    /// <summary>The file of the default template.</summary>
    public const string FileName = "chat_template.jinja";

    /// <summary>The name of the default template.</summary>
    public const string Default = "default";

    /// <summary>The name of the template for conversations with tools.</summary>
    public const string ToolUse = "tool_use";

    /// <summary>The folder of additional templates.</summary>
    public const string FurtherFolder = "additional_chat_templates";

    private const string Ending = ".jinja", Key = "chat_template";

    /// <summary>The templates; empty if the folder has none.</summary>
    public static IReadOnlyDictionary<string, string> Read(string folder)
    {
        var found = new Dictionary<string, string>();
        string main = Path.Combine(folder, FileName);
        if (File.Exists(main)) found[Default] = SmallFile.ReadText(main);
        foreach (string file in Further(folder))
            found[Path.GetFileName(file)[..^Ending.Length]] = SmallFile.ReadText(file);
        if (found.Count == 0) found = Of(TokenizerFolder.Json(Path.Combine(folder, "tokenizer_config.json"))[Key]);
        return found.Count > 0 ? found : Of(TokenizerFolder.Json(Path.Combine(folder, "chat_template.json"))[Key]);
    }

    /// <summary>The files of additional templates, by name.</summary>
    public static IReadOnlyList<string> Further(string folder)
    {
        string further = Path.Combine(folder, FurtherFolder);
        return Directory.Exists(further)
            ? [.. Directory.GetFiles(further, "*" + Ending).Order(StringComparer.Ordinal)] : [];
    }

    /// <summary>Writes templates into a folder, replacing existing ones.</summary>
    public static void Write(string folder, IReadOnlyDictionary<string, string> templates)
    {
        string further = Path.Combine(folder, FurtherFolder);
        if (Directory.Exists(further)) Directory.Delete(further, recursive: true);
        File.Delete(Path.Combine(folder, FileName));
        foreach ((string name, string source) in templates)
        {
            if (name == Default)
            {
                File.WriteAllText(Path.Combine(folder, FileName), source);
                continue;
            }
            // The name comes from an untrusted file.
            if (name.Length == 0 || name != Path.GetFileName(name) || name.Contains('\\'))
                throw new InputException($"A chat template is named \"{name}\", which is no file's name.");
            Directory.CreateDirectory(further);
            File.WriteAllText(Path.Combine(further, name + Ending), source);
        }
    }

    private static Dictionary<string, string> Of(JsonNode? node)
    {
        var found = new Dictionary<string, string>();
        if (TokenizerFolder.Text(node) is { } source) found[Default] = source;
        else if (node is JsonArray list)
        {
            foreach (JsonObject entry in list.OfType<JsonObject>())
                if (TokenizerFolder.Text(entry["name"]) is { } name
                    && TokenizerFolder.Text(entry["template"]) is { } template)
                    found[name] = template;
        }
        else if (node is JsonObject named)
        {
            foreach ((string name, JsonNode? template) in named)
                if (TokenizerFolder.Text(template) is { } text) found[name] = text;
        }
        return found;
    }
}
