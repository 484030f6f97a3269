using LowRank.Adapters;
using LowRank.Tokenizers;

namespace LowRank.Recipes.Steps;

/// <summary>The tokenizer of a recipe's run.</summary>
/// <param name="Tokenizer">The tokenizer; null if there is none.</param>
/// <param name="Kept">The chat templates to save with what is trained; null for the base's.</param>
internal sealed record OpenedTokenizer(Tokenizer? Tokenizer, AdapterChatTemplates? Kept)
{
    /// <summary>Opens the tokenizer, with the templates of the recipe or of the adapter that it continues
    /// from.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="modelFolder">The base's folder.</param>
    /// <param name="initFolder">The folder of the adapter that training continues from; null for none.</param>
    /// <param name="added">The tokenizer with the recipe's new tokens; null without.</param>
    /// <param name="endOfText">The token that ends a text if the files do not specify one.</param>
    /// <exception cref="InputException">A file is invalid, or the recipe's template does not exist.</exception>
    public static OpenedTokenizer Open(
        Recipe recipe, string modelFolder, string? initFolder, AdapterVocabulary? added, int? endOfText)
    {
        AdapterVocabulary? vocabulary = added ?? (initFolder is null ? null : AdapterVocabulary.Load(initFolder));
        AdapterChatTemplates? templates = recipe.Data.ChatTemplate is { } named ? Named(recipe, named, modelFolder)
            : initFolder is null ? null : AdapterChatTemplates.Load(initFolder);
        return new OpenedTokenizer(
            AdapterChatTemplates.LoadTokenizer(modelFolder, vocabulary, templates, endOfText), templates);
    }

    private static AdapterChatTemplates Named(Recipe recipe, string named, string modelFolder)
    {
        string key = recipe.Name("data.chat_template"), place = $"{key}, {named}";
        if (Path.IsPathFullyQualified(named) && File.Exists(named))
            return new AdapterChatTemplates(SmallFile.ReadText(named), place);
        IReadOnlyDictionary<string, string> known = ChatTemplateFiles.Read(modelFolder);
        return known.TryGetValue(named, out string? source) ? new AdapterChatTemplates(source, place)
            : throw new InputException(
                $"{key} is {named}, which is neither a file nor a template of " +
                $"{modelFolder}; " +
                (known.Count == 0 ? "the model has none. Give a file with a Jinja template."
                    : $"the model has {string.Join(", ", known.Keys.Order(StringComparer.Ordinal))}."));
    }
}
