using System.Text.Encodings.Web;
using System.Text.Json;

namespace LowRank.Cli;

/// <summary>JSON on standard output.</summary>
internal static class JsonOutput
{
    /// <summary>One line.</summary>
    public static JsonSerializerOptions Compact { get; } = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static readonly JsonSerializerOptions Indented = new(Compact) { WriteIndented = true };

    private static readonly JsonSerializerOptions Measurements = new(Indented) { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    /// <summary>Writes what was measured, indented; keys are the properties' names in lower case with underscores.</summary>
    public static void WriteMeasured(object value) => Console.WriteLine(JsonSerializer.Serialize(value, Measurements));

    /// <summary>Writes an object, indented.</summary>
    public static void Write(object value) => Console.WriteLine(JsonSerializer.Serialize(value, Indented));
}
