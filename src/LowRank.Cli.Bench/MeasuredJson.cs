using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Cli.Common;

namespace LowRank.Cli.Bench;

/// <summary>What a benchmark measured, as JSON on standard output.</summary>
internal static class MeasuredJson
{
    private static readonly JsonSerializerOptions Measurements =
        new(JsonOutput.Indented) { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    /// <summary>Writes measurements, indented, with the command, the machine, its processor, the vector instructions in
    /// use and the commit of the build. Keys are the property names in snake case.</summary>
    public static void Write(object value)
    {
        JsonObject measured = JsonSerializer.SerializeToNode(value, Measurements)!.AsObject();
        measured["command"] = string.Join(' ', ["lowrank", .. Environment.GetCommandLineArgs().Skip(1)]);
        measured["machine"] = Machine.Describe();
        measured["processor"] = Processor.Name();
        measured["vectors"] = Machine.Vectors();
        measured["commit"] = Machine.Commit();
        Console.WriteLine(measured.ToJsonString(JsonOutput.Indented));
    }
}
