using System.Globalization;
using System.Text.Json.Nodes;
using LowRank.Tokenizers.PostProcessors;

namespace LowRank.Tokenizers.Classes;

/// <summary>The special and added tokens of a folder without tokenizer.json, collected like in transformers. The
/// class's own roles are overridden by tokenizer_config.json and, if that contains no <c>added_tokens_decoder</c>, by
/// special_tokens_map.json and added_tokens.json. Ids are assigned as in the tokenizers library: a token of the
/// vocabulary keeps its id, others follow after all existing ones.</summary>
internal sealed class ClassTokens
{
    private static readonly string[] Attributes =
        ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
    private readonly ClassFolder files;
    private readonly Func<string, string, AddedToken> plain;
    private readonly List<(string Role, AddedToken Token)> roles = [];
    private readonly List<AddedToken> added = [];
    private readonly HashSet<string> listed = []; // tokens that a file adds with an id or that the vocabulary has
    private List<AddedToken>? extras;

    /// <param name="files">The folder.</param>
    /// <param name="defaults">The class's roles and their tokens.</param>
    /// <param name="vocabulary">The model's tokens and ids.</param>
    /// <param name="plain">The token of a role if only its text is known; null for a special one that absorbs no
    /// spaces.</param>
    /// <param name="extra">Further tokens of the class, if the files specify none.</param>
    public ClassTokens(
        ClassFolder files, IReadOnlyDictionary<string, string> defaults, IReadOnlyDictionary<string, int> vocabulary,
        Func<string, string, AddedToken>? plain = null, IEnumerable<AddedToken>? extra = null)
    {
        (this.files, this.plain) = (files, plain ?? ((_, text) => Special(text)));
        SortedDictionary<int, AddedToken> byId = ReadRoles(defaults);
        int next = vocabulary.Count == 0 ? 0 : vocabulary.Values.Max() + 1;
        listed.UnionWith(vocabulary.Keys);
        foreach ((int id, AddedToken token) in byId)
        {
            listed.Add(token.Content);
            Add(token, vocabulary, ref next);
            int given = added[^1].Content == token.Content ? added[^1].Id : id;
            if (given != id)
                throw new InputException(
                    $"{files.Folder}: the added token \"{token.Content}\" has the id {id} in the files, but the " +
                    $"vocabulary puts it at {given}. " +
                    "Vocabulary and added tokens do not belong together, or leave a gap; save the tokenizer with " +
                        "transformers to get a tokenizer.json.");
        }
        foreach ((_, AddedToken token) in roles) Add(token with { IsSpecial = true }, vocabulary, ref next);
        foreach (AddedToken token in extras ?? extra ?? []) Add(token, vocabulary, ref next);
        Roles = roles.GroupBy(role => role.Role).ToDictionary(group => group.Key, group => group.Last().Token.Content);
    }

    /// <summary>Roles, such as <c>bos_token</c>, and the texts of their tokens.</summary>
    public IReadOnlyDictionary<string, string> Roles { get; }

    /// <summary>The tokens that are found in the text itself.</summary>
    public IReadOnlyList<AddedToken> Added => added;

    /// <summary>A special token that absorbs no spaces and is found in the original text.</summary>
    public static AddedToken Special(string text) => new(text, -1, true, false, false, false, false);

    /// <summary>A role's token as part of a template; null if there is none.</summary>
    /// <exception cref="InputException">The token is added around texts, but is in neither the vocabulary nor the added
    /// tokens.</exception>
    public int? Id(string role) => Roles.TryGetValue(role, out string? text)
        ? added.Find(token => token.Content == text)?.Id : null;

    /// <summary>Rejects roles whose tokens are in neither the vocabulary nor the added tokens: a new id would be
    /// meaningless to the model.</summary>
    /// <param name="needed">The roles that encoding requires.</param>
    /// <param name="file">The vocabulary's name.</param>
    public void Require(IEnumerable<string> needed, string file)
    {
        string[] lacking = [.. roles.Where(role => !listed.Contains(role.Token.Content)).Select(role => role.Role)];
        if (!needed.Any(role => !Roles.ContainsKey(role) || lacking.Contains(role))) return;
        IEnumerable<string> missing = needed.Where(role => !Roles.ContainsKey(role)).Concat(lacking).Distinct();
        throw new InputException(
            $"{files.At(file)} lacks " +
            $"{string.Join(", ", missing.Select(role => Roles.GetValueOrDefault(role, role)))}, which the " +
            "tokenizer's class needs. " +
            "Is it the vocabulary of another tokenizer? Name its special tokens in tokenizer_config.json.");
    }

    /// <summary>A start and an end token around each text, if tokenizer_config.json requests them.</summary>
    /// <param name="addsBegin">Whether the class adds a start token if the file does not say.</param>
    public SpecialTokenFrame BeginAndEnd(bool addsBegin = false)
    {
        TemplatePart[] Part(string key, string role, bool otherwise)
        {
            if (!files.Config.Flag(key, otherwise) || Id(role) is not { } id) return [];
            if (!listed.Contains(Roles[role]))
                throw new InputException(
                    $"{files.Config.Place}: {key} is true, but \"{Roles[role]}\" is neither in the vocabulary nor " +
                    $"among the added tokens. Name the right {role}.");
            return [new TemplatePart(null, [id], 0)];
        }
        TemplatePart[] before = Part("add_bos_token", "bos_token", addsBegin),
            after = Part("add_eos_token", "eos_token", false);
        static IEnumerable<TemplatePart> Second(TemplatePart[] parts) => parts.Select(part => part with { Type = 1 });
        TemplatePart[] single = [.. before, new TemplatePart(0, [], 0), .. after];
        return new SpecialTokenFrame(
            single, [.. single, .. Second(before), new TemplatePart(1, [], 1), .. Second(after)]);
    }

    private SortedDictionary<int, AddedToken> ReadRoles(IReadOnlyDictionary<string, string> defaults)
    {
        JsonObject config = files.Config.Json;
        var said = new Dictionary<string, AddedToken?>();
        ReadInto(said, config, files.Config.Place);
        var byId = new SortedDictionary<int, AddedToken>();
        if (config["added_tokens_decoder"] is not null)
        {
            foreach ((string key, JsonNode? node) in (files.Config.Child("added_tokens_decoder") ?? files.Config).Json)
            {
                if (!int.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out int id)
                    || node is not JsonObject)
                    throw new InputException(
                        $"{files.Config.Place}: added_tokens_decoder holds \"{key}\": " +
                        $"{node?.ToJsonString() ?? "null"}, expected ids and the tokens they stand for.");
                byId[id] = Read(node, "added_tokens_decoder", files.Config.Place, special: false);
            }
        }
        else
        {
            string map = files.At("special_tokens_map.json");
            ReadInto(said, TokenizerFolder.Json(map), map);
            ReadAdded(byId, said);
        }
        Dictionary<string, AddedToken> byText = byId.Values.GroupBy(token => token.Content)
            .ToDictionary(group => group.Key, group => group.First());
        foreach (string role in Attributes.Concat(said.Keys.Except(Attributes)))
        {
            AddedToken? token = said.TryGetValue(role, out AddedToken? given) ? given
                : defaults.TryGetValue(role, out string? text) ? plain(role, text) : null;
            if (token is not null) roles.Add((role, byText.GetValueOrDefault(token.Content, token)));
        }
        return byId;
    }

    // added_tokens.json: maps texts to ids.
    private void ReadAdded(SortedDictionary<int, AddedToken> byId, Dictionary<string, AddedToken?> said)
    {
        string file = files.At("added_tokens.json");
        foreach ((string text, JsonNode? node) in TokenizerFolder.Json(file))
        {
            if (node is not JsonValue value || !value.TryGetValue(out int id) || id < 0)
                throw new InputException(
                    $"{file}: the id of \"{text}\" is {node?.ToJsonString() ?? "null"}, expected a whole number of " +
                    "at least 0.");
            bool special = said.Values.Any(token => token?.Content == text)
                || (extras?.Any(token => token.Content == text) ?? false);
            byId[id] = new AddedToken(text, -1, special, false, false, false, !special);
        }
    }

    private void ReadInto(Dictionary<string, AddedToken?> said, JsonObject source, string place)
    {
        foreach ((string key, JsonNode? node) in source)
        {
            if (key is "additional_special_tokens" or "extra_special_tokens")
            {
                if (node is JsonArray list)
                    extras = [.. (extras ?? []).Concat(list.Select(token => Read(token, key, place, special: true)))
                        .DistinctBy(token => token.Content)];
                else if (node is JsonObject named)
                    foreach ((string role, JsonNode? token) in named)
                        said[role] = Read(token, role, place, special: true);
                else if (node is not null)
                    throw new InputException($"{place}: {key} is {node.ToJsonString()}, expected a list of tokens.");
            }
            else if (key.EndsWith("_token", StringComparison.Ordinal)
                && (node is null || node is JsonObject || node.GetValueKind() == System.Text.Json.JsonValueKind.String))
                said[key] = node is null ? null : node is JsonValue text ? plain(key, text.GetValue<string>())
                    : Read(node, key, place, special: true);
        }
    }

    private static AddedToken Read(JsonNode? node, string key, string place, bool special)
    {
        if (node is JsonValue value && value.TryGetValue(out string? text)) return Special(text);
        if (node is not JsonObject token || token["content"] is null)
            throw new InputException(
                $"{place}: {key} holds {node?.ToJsonString() ?? "null"}, expected a text or a token with its content.");
        var json = new ComponentJson(token, $"{place}: {key}");
        bool isSpecial = json.Flag("special", special);
        return new AddedToken(
            json.Text("content"), -1, isSpecial, json.Flag("lstrip", false), json.Flag("rstrip", false),
            json.Flag("single_word", false),
            json.Flag("normalized", !(special || isSpecial)));
    }

    private void Add(AddedToken token, IReadOnlyDictionary<string, int> vocabulary, ref int next)
    {
        if (token.Content.Length == 0 || added.Exists(known => known.Content == token.Content)) return;
        added.Add(token with { Id = vocabulary.TryGetValue(token.Content, out int id) ? id : next++ });
    }
}
