using System.Text.Json.Nodes;

namespace LowRank.Tokenization;

/// <summary>The chat templates of a folder by their names, as transformers 5 keeps them: <c>chat_template.jinja</c> is "default",
/// <c>additional_chat_templates/NAME.jinja</c> the others. Where there is none of these, <c>chat_template</c> of
/// <c>tokenizer_config.json</c> (a text, or a list of named ones), else of <c>chat_template.json</c>.</summary>
internal static class ChatTemplateFiles
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
        foreach (string file in Further(folder)) found[Path.GetFileName(file)[..^Ending.Length]] = SmallFile.ReadText(file);
        if (found.Count == 0) found = Of(TokenizerFolder.Json(Path.Combine(folder, "tokenizer_config.json"))[Key]);
        return found.Count > 0 ? found : Of(TokenizerFolder.Json(Path.Combine(folder, "chat_template.json"))[Key]);
    }

    /// <summary>The files of further templates, by name.</summary>
    public static IReadOnlyList<string> Further(string folder)
    {
        string further = Path.Combine(folder, FurtherFolder);
        return Directory.Exists(further) ? [.. Directory.GetFiles(further, "*" + Ending).Order(StringComparer.Ordinal)] : [];
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
            if (name.Length == 0 || name != Path.GetFileName(name) || name.Contains('\\')) throw new InputException($"A chat template is named \"{name}\", which is no file's name.");
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
                if (TokenizerFolder.Text(entry["name"]) is { } name && TokenizerFolder.Text(entry["template"]) is { } template) found[name] = template;
        }
        else if (node is JsonObject named)
        {
            foreach ((string name, JsonNode? template) in named)
                if (TokenizerFolder.Text(template) is { } text) found[name] = text;
        }
        return found;
    }
}
