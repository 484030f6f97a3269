using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using LowRank.Cli.Bench;

namespace LowRank.Cli;

/// <summary>JSON on standard output.</summary>
internal static class JsonOutput
{
    /// <summary>One line.</summary>
    public static JsonSerializerOptions Compact { get; } =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, Converters = { new FiniteNumbers() } };

    private static readonly JsonSerializerOptions Indented = new(Compact) { WriteIndented = true };

    private static readonly JsonSerializerOptions Measurements =
        new(Indented) { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    /// <summary>Writes what was measured, indented, with the command, the machine, the vectors that the program
    /// computes with and the commit that it was built from; keys are the properties' names in lower case with
    /// underscores.</summary>
    public static void WriteMeasured(object value)
    {
        JsonObject measured = JsonSerializer.SerializeToNode(value, Measurements)!.AsObject();
        measured["command"] = string.Join(' ', ["lowrank", .. Environment.GetCommandLineArgs().Skip(1)]);
        measured["machine"] = Machine.Describe();
        measured["vectors"] = Machine.Vectors();
        measured["commit"] = Machine.Commit();
        Console.WriteLine(measured.ToJsonString(Indented));
    }

    // JSON knows no NaN and no infinity: what is no number is null.
    private sealed class FiniteNumbers : JsonConverter<double>
    {
        public override double Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            reader.TokenType == JsonTokenType.Null ? double.NaN : reader.GetDouble();

        public override void Write(Utf8JsonWriter writer, double value, JsonSerializerOptions options)
        {
            if (double.IsFinite(value)) writer.WriteNumberValue(value);
            else writer.WriteNullValue();
        }
    }

    /// <summary>Writes an object, indented.</summary>
    public static void Write(object value) => Console.WriteLine(JsonSerializer.Serialize(value, Indented));
}
