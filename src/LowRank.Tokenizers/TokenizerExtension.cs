using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LowRank.Tokenizers;

/// <summary>Adds tokens to a tokenizer's files.</summary>
/// <param name="Ids">The new tokens' ids, in their order.</param>
/// <param name="Files">The tokenizer's files, including the new tokens, by name.</param>
public sealed record TokenizerExtension(IReadOnlyList<int> Ids, IReadOnlyDictionary<string, string> Files)
{
    /// <summary>The file that new tokens are written to.</summary>
    public const string FileName = "tokenizer.json";

    private const string ConfigName = "tokenizer_config.json";
    private const string AddedName = "added_tokens.json"; // of older files: tokens to ids

    private static readonly string[] Companions =
        [ConfigName, "special_tokens_map.json", AddedName, "chat_template.jinja", "chat_template.json"];

    private static readonly JsonSerializerOptions Readable =
        new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Appends tokens after all existing ones, numbered as in the tokenizers library. They are matched
    /// literally in the original text, and decoding keeps them.</summary>
    /// <param name="folder">A folder with tokenizer.json.</param>
    /// <param name="tokens">The tokens' texts.</param>
    /// <exception cref="InputException">The folder has no tokenizer.json, or a token is empty, already exists or is
    /// repeated; the message lists all problems.</exception>
    public static TokenizerExtension Of(string folder, IReadOnlyList<string> tokens)
    {
        string path = Path.Combine(folder, FileName);
        if (!File.Exists(path))
            throw new InputException(
                $"{folder} has no {FileName}, which new tokens are written into. Save the tokenizer with " +
                "transformers (AutoTokenizer.from_pretrained(…).save_pretrained(…)) to get one.");
        Tokenizer tokenizer = Tokenizer.Load(folder);
        Check(tokenizer, tokens, path);
        int[] ids = [.. tokens.Select((_, place) => tokenizer.VocabularySize + place)];
        Dictionary<string, string> files = FilesOf(folder).ToDictionary();
        JsonObject root = TokenizerFolder.Json(path);
        if (root["added_tokens"] is not JsonArray added) root["added_tokens"] = added = [];
        foreach ((string token, int id) in tokens.Zip(ids)) added.Add((JsonNode)Entry(token, id));
        files[FileName] = root.ToJsonString(Readable);
        if (files.ContainsKey(ConfigName)) Describe(files, ConfigName, "added_tokens_decoder", tokens, ids);
        if (files.ContainsKey(AddedName)) Describe(files, AddedName, null, tokens, ids);
        return new TokenizerExtension(ids, files);
    }

    /// <summary>The files of a folder's tokenizer, by name.</summary>
    public static IReadOnlyDictionary<string, string> FilesOf(string folder) =>
        Companions.Append(FileName)
            .Concat(ChatTemplateFiles.Further(folder).Select(path => Path.GetRelativePath(folder, path)))
            .Where(name => File.Exists(Path.Combine(folder, name)))
            .ToDictionary(
                name => name, name => SmallFile.ReadText(Path.Combine(folder, name), SmallFile.MostOfVocabulary));

    private static void Check(Tokenizer tokenizer, IReadOnlyList<string> tokens, string path)
    {
        List<string> problems =
        [
            .. tokens.Where(string.IsNullOrWhiteSpace)
                .Select(token => $"found \"{token}\", expected a text that is not blank"),
            .. tokens.Where(token => tokenizer.TokenToId(token) is not null)
            .Select(token =>
            $"\"{token}\" is in the vocabulary already, with id {tokenizer.TokenToId(token)}; to train it, name " +
            "that id in trainable_token_indices"),
            .. tokens.GroupBy(token => token).Where(group => group.Count() > 1)
            .Select(group => $"\"{group.Key}\" is named twice"),
        ];
        if (problems.Count > 0) throw new InputException($"New tokens cannot be added to {path}:", problems);
    }

    // Fast tokenizers of transformers read these lists in addition to tokenizer.json, if they exist.
    private static void Describe(
        Dictionary<string, string> files, string file, string? key, IReadOnlyList<string> tokens, int[] ids)
    {
        if (JsonNode.Parse(files[file]) is not JsonObject root
            || (key is null ? root : root[key] as JsonObject) is not { } list)
            return;
        foreach ((string token, int id) in tokens.Zip(ids))
        {
            if (key is null) list[token] = id;
            else list[id.ToString(System.Globalization.CultureInfo.InvariantCulture)] = Flags(token);
        }
        files[file] = root.ToJsonString(Readable);
    }

    private static JsonObject Entry(string token, int id)
    {
        JsonObject entry = new() { ["id"] = id };
        foreach ((string key, JsonNode? value) in Flags(token).ToArray()) entry[key] = value!.DeepClone();
        return entry;
    }

    private static JsonObject Flags(string token) =>
        new() { ["content"] = token, ["single_word"] = false, ["lstrip"] = false, ["rstrip"] = false,
            ["normalized"] = false, ["special"] = false };
}
