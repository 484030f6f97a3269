using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LowRank.Tokenizers;

/// <summary>What a tokenizer is made from.</summary>
internal static class TokenizerFiles
{
    private static readonly string[] Names =
    [
        "added_tokens.json", "chat_template.jinja", "chat_template.json", "config.json", "merges.txt",
            "sentencepiece.bpe.model", "special_tokens_map.json", "spiece.model",
        "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "vocab.txt",
    ];

    /// <summary>A number for all of it.</summary>
    /// <param name="text">The text of tokenizer.json, which need not be the folder's.</param>
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

/// <summary>What the files beside tokenizer.json say: the roles of special tokens and the chat templates.</summary>
/// <param name="SpecialTokens">bos_token, eos_token, pad_token, unk_token and others, to their text.</param>
/// <param name="ChatTemplates">The model's chat templates by name (<see cref="ChatTemplateFiles"/>).</param>
internal sealed record TokenizerFolder(
    IReadOnlyDictionary<string, string> SpecialTokens, IReadOnlyDictionary<string, string> ChatTemplates)
{
    /// <summary>Nothing said.</summary>
    public static TokenizerFolder Empty { get; } =
        new(new Dictionary<string, string>(), new Dictionary<string, string>());

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

/// <summary>The chat templates of a folder by their names, as transformers 5 keeps them: <c>chat_template.jinja</c> is
/// "default", <c>additional_chat_templates/NAME.jinja</c> the others. Where there is none of these,
/// <c>chat_template</c> of <c>tokenizer_config.json</c> (a text, or a list of named ones), else of
/// <c>chat_template.json</c>.</summary>
public static class ChatTemplateFiles
{
    /// <summary>The file of the template that is meant where none is named.</summary>
    public const string FileName = "chat_template.jinja";

    /// <summary>The name of that template.</summary>
    public const string Default = "default";

    /// <summary>The name of the one for conversations with tools.</summary>
    public const string ToolUse = "tool_use";

    /// <summary>The folder of further templates.</summary>
    public const string FurtherFolder = "additional_chat_templates";

    private const string Ending = ".jinja", Key = "chat_template";

    /// <summary>The templates; none where the folder has none.</summary>
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

    /// <summary>The files of further templates, by name.</summary>
    public static IReadOnlyList<string> Further(string folder)
    {
        string further = Path.Combine(folder, FurtherFolder);
        return Directory.Exists(further)
            ? [.. Directory.GetFiles(further, "*" + Ending).Order(StringComparer.Ordinal)] : [];
    }

    /// <summary>Writes templates into a folder, in place of those that it has.</summary>
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
            // A name comes from somebody's file.
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
