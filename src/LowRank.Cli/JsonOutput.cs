using System.Text.Encodings.Web;
using System.Text.Json;

namespace LowRank.Cli;

/// <summary>JSON on standard output.</summary>
internal static class JsonOutput
{
    /// <summary>One line.</summary>
    public static JsonSerializerOptions Compact { get; } = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static readonly JsonSerializerOptions Indented = new(Compact) { WriteIndented = true };

    /// <summary>Writes an object, indented.</summary>
    public static void Write(object value) => Console.WriteLine(JsonSerializer.Serialize(value, Indented));
}
