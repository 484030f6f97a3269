using LowRank.Tokenizers;

namespace LowRank.Adapters;

/// <summary>The chat templates in an adapter's folder, which it was trained with; they override the base's.</summary>
public sealed class AdapterChatTemplates
{
    private readonly string place;

    /// <summary>One template, the "default".</summary>
    /// <param name="source">The template.</param>
    /// <param name="place">Where it comes from, for messages.</param>
    public AdapterChatTemplates(string source, string place)
        : this(new Dictionary<string, string> { [ChatTemplateFiles.Default] = source }, place)
    {
    }

    private AdapterChatTemplates(IReadOnlyDictionary<string, string> byName, string place) =>
        (ByName, this.place) = (byName, place);

    /// <summary>The templates by name.</summary>
    public IReadOnlyDictionary<string, string> ByName { get; }

    /// <summary>The templates of an adapter folder; null if there are none.</summary>
    /// <exception cref="InputException">A file is invalid.</exception>
    public static AdapterChatTemplates? Load(string adapterFolder) =>
        ChatTemplateFiles.Read(adapterFolder) is { Count: > 0 } found
        ? new AdapterChatTemplates(found, $"the adapter's own ({adapterFolder})") : null;

    /// <summary>The templates of several adapters.</summary>
    /// <param name="templates">Each adapter's templates; null for an adapter without any.</param>
    /// <returns>Null if no adapter has any.</returns>
    /// <exception cref="InputException">Two adapters have different templates.</exception>
    public static AdapterChatTemplates? Common(IEnumerable<AdapterChatTemplates?> templates)
    {
        AdapterChatTemplates[] all = [.. templates.OfType<AdapterChatTemplates>()];
        if (all.FirstOrDefault(other => !IsSame(other.ByName, all[0].ByName)) is { } different)
            throw new InputException(
                $"Two adapters have different chat templates: {all[0].place} and {different.place}. Use them one " +
                $"at a time, or take {ChatTemplateFiles.FileName} out of the folder whose template is not meant.");
        return all.FirstOrDefault();
    }

    /// <summary>The tokenizer for a base with adapters: an adapter's own, otherwise the base's, with an adapter's
    /// templates or otherwise the base's.</summary>
    /// <param name="modelFolder">The base's folder.</param>
    /// <param name="vocabulary">An adapter's tokenizer; null if none has one.</param>
    /// <param name="templates">An adapter's templates; null if none has any.</param>
    /// <param name="endOfText">The token that ends a text if the files do not specify one.</param>
    /// <returns>Null if there is no tokenizer.</returns>
    public static Tokenizer? LoadTokenizer(
        string modelFolder, AdapterVocabulary? vocabulary, AdapterChatTemplates? templates, int? endOfText)
    {
        Tokenizer? tokenizer = vocabulary?.Tokenizer(endOfText)
            ?? (Tokenizer.IsPresent(modelFolder) ? Tokenizer.Load(modelFolder, endOfText) : null);
        if (tokenizer is null || (vocabulary ?? (object?)templates) is null) return tokenizer;
        IReadOnlyDictionary<string, string> ofBase = ChatTemplateFiles.Read(modelFolder);
        IReadOnlyDictionary<string, string> chosen = templates?.ByName ?? ofBase;
        return tokenizer.WithChatTemplates(chosen, IsSame(chosen, ofBase) ? null : templates!.place);
    }

    /// <summary>A base's tokenizer with these templates; it shares all else.</summary>
    internal Tokenizer For(Tokenizer tokenizer) =>
        tokenizer.WithChatTemplates(ByName, IsSame(ByName, tokenizer.ChatTemplates) ? null : place);

    /// <summary>Writes the templates into a folder, replacing existing ones.</summary>
    public void Save(string into) => ChatTemplateFiles.Write(into, ByName);

    private static bool IsSame(IReadOnlyDictionary<string, string> one, IReadOnlyDictionary<string, string> other) =>
        one.Count == other.Count && one.All(template => other.GetValueOrDefault(template.Key) == template.Value);
}
