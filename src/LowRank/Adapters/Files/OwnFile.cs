using System.Text.Json;
using System.Text.Json.Serialization;

namespace LowRank.Adapters.Files;

/// <summary>JSON files of LowRank's own beside PEFT's two, which PEFT passes over.</summary>
internal static class OwnFile
{
    private static readonly JsonSerializerOptions Options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        WriteIndented = true,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>Reads a file of a folder; null where there is none.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="name">The file's name.</param>
    /// <param name="without">What is missing once the file is removed, for the message.</param>
    /// <exception cref="InputException">It is broken.</exception>
    public static T? Load<T>(string folder, string name, string without) where T : class
    {
        string path = Path.Combine(folder, name);
        if (!File.Exists(path)) return null;
        try
        {
            return JsonSerializer.Deserialize<T>(SmallFile.ReadText(path), Options) ?? throw new InputException($"{path} is empty.");
        }
        catch (JsonException e)
        {
            throw new InputException($"{path} is not what LowRank writes: {e.Message} Remove the file to use the adapter {without}, or restore it.", e);
        }
    }

    /// <summary>Writes a file into a folder.</summary>
    public static void Save<T>(T content, string folder, string name) => File.WriteAllText(Path.Combine(folder, name), JsonSerializer.Serialize(content, Options) + "\n");
}
