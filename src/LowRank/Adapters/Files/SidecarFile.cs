using System.Text.Json;
using System.Text.Json.Serialization;

namespace LowRank.Adapters.Files;

/// <summary>LowRank's own JSON files next to PEFT's two, which PEFT ignores.</summary>
internal static class SidecarFile
{
    private static readonly JsonSerializerOptions Options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        WriteIndented = true,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>Reads a file of a folder; null if there is none.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="name">The file's name.</param>
    /// <param name="without">What is lost if the file is removed, for the message.</param>
    /// <param name="problem">Returns what is wrong with its values, as a clause without a full stop; null if nothing
    /// is.</param>
    /// <exception cref="InputException">The file is invalid.</exception>
    public static T? Load<T>(string folder, string name, string without, Func<T, string?> problem) where T : class
    {
        string path = Path.Combine(folder, name);
        if (!File.Exists(path)) return null;
        string text = SmallFile.ReadText(path);
        InputException Broken(string words, Exception? cause) =>
            new($"{path} is not what LowRank writes: {words}. Restore the file, or remove it to use the adapter " +
                $"{without}.", cause!);
        try
        {
            T content = JsonSerializer.Deserialize<T>(text, Options) ?? throw new JsonException("null values");
            return problem(content) is { } words ? throw Broken(words, null) : content;
        }
        catch (JsonException e)
        {
            throw Broken(JsonWords.Of(e, text), e);
        }
    }

    /// <summary>Writes a file into a folder.</summary>
    public static void Save<T>(T content, string folder, string name) =>
        File.WriteAllText(Path.Combine(folder, name), JsonSerializer.Serialize(content, Options) + "\n");
}
