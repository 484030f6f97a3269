using System.Text.Json;
using System.Text.Json.Nodes;

namespace LowRank.Tensors;

/// <summary>The list of a checkpoint's shards, <c>model.safetensors.index.json</c>.</summary>
/// <param name="WeightMap">For each tensor the name of the file that holds it, in the order of the file.</param>
internal sealed record CheckpointIndex(IReadOnlyDictionary<string, string> WeightMap)
{
    /// <summary>Reads and checks an index.</summary>
    /// <exception cref="InputException">The file is no index; lists every problem.</exception>
    public static CheckpointIndex Read(string path)
    {
        if (!File.Exists(path)) throw new InputException($"{path} does not exist; expected the index of a checkpoint's shards.");
        if (JsonObjects.Read(path)["weight_map"] is not JsonObject map)
            throw new InputException($"{path} has no object 'weight_map'; expected one that names the file of each tensor.");
        string extension = path.EndsWith(Checkpoint.PickleIndexFileName, StringComparison.Ordinal) ? ".bin" : ".safetensors";
        var problems = new List<string>();
        var weights = new OrderedDictionary<string, string>();
        foreach ((string name, JsonNode? value) in map)
        {
            string? file = value?.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : null;
            if (file is null)
                problems.Add($"weight_map: the value of '{name}' is {value?.ToJsonString() ?? "null"}; expected the name of a file");
            else if (!IsPlainName(file, extension))
                problems.Add($"weight_map: '{name}' is placed in '{file}'; expected the name of a {extension} file in the index's own folder");
            else
                weights.Add(name, file);
        }
        if (weights.Count == 0 && problems.Count == 0) problems.Add("weight_map is empty; expected at least one tensor");
        if (problems.Count > 0) throw new InputException($"{path} cannot be used:", problems);
        return new CheckpointIndex(weights);
    }

    // An index is downloaded data: a name with a folder in it could point at any file of the machine.
    private static bool IsPlainName(string file, string extension) =>
        file.EndsWith(extension, StringComparison.Ordinal) && file.IndexOfAny(['/', '\\', ':', '\0']) < 0;
}
