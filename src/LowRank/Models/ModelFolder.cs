using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.IO;
using LowRank.Tokenizers;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>Writes Hugging Face model folders.</summary>
public static class ModelFolder
{
    private static readonly JsonSerializerOptions Readable =
        new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static readonly string[] Companions =
    [
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json", "vocab.json", "merges.txt", "vocab.txt", "*.model", "chat_template.jinja",
        "chat_template.json",
    ];

    /// <summary>Writes weights next to copies of a source folder's config and tokenizer files, atomically: the folder
    /// appears complete or not at all.</summary>
    /// <param name="source">The folder with the files to copy.</param>
    /// <param name="target">The folder to create.</param>
    /// <param name="weights">Tensors by checkpoint name, in the dtype to store.</param>
    /// <param name="editConfig">Edits config.json's keys in the copy; null copies the file unchanged.</param>
    /// <param name="addFiles">Writes more files into the folder; null for none.</param>
    /// <exception cref="InputException">The target is the source folder.</exception>
    public static void Write(
        string source, string target, IReadOnlyList<KeyValuePair<string, Tensor>> weights,
        Action<JsonObject>? editConfig = null,
        Action<string>? addFiles = null) => Write(source, target, editConfig, folder =>
        {
            addFiles?.Invoke(folder);
            CheckpointWriter.Write(folder, weights);
        });

    /// <summary>Writes copies of a source folder's config and tokenizer files, and what <paramref name="addFiles"/>
    /// writes beside them, atomically.</summary>
    /// <param name="source">The folder with the files to copy.</param>
    /// <param name="target">The folder to create.</param>
    /// <param name="editConfig">Edits config.json's keys in the copy; null copies the file unchanged.</param>
    /// <param name="addFiles">Writes the weights and more into the folder.</param>
    /// <exception cref="InputException">The target is the source folder.</exception>
    internal static void Write(
        string source, string target, Action<JsonObject>? editConfig, Action<string> addFiles)
    {
        if (FileIdentity.AreSame(source, target))
            throw new InputException($"{target} is the model that is read. Choose another output folder.");
        AtomicFolder.Write(target, folder =>
        {
            CopyCompanions(source, folder);
            if (editConfig is not null) Edit(Path.Combine(folder, "config.json"), editConfig);
            addFiles(folder);
        });
    }

    // Without changes the file is copied byte for byte.
    private static void Edit(string path, Action<JsonObject> edit)
    {
        JsonObject config = JsonNode.Parse(SmallFile.ReadText(path))!.AsObject();
        JsonNode before = config.DeepClone();
        edit(config);
        if (!JsonNode.DeepEquals(before, config)) File.WriteAllText(path, config.ToJsonString(Readable) + "\n");
    }

    /// <summary>Copies a folder's config and tokenizer files.</summary>
    internal static void CopyCompanions(string source, string folder)
    {
        foreach (string pattern in Companions)
            foreach (string file in Directory.GetFiles(source, pattern))
                File.Copy(file, Path.Combine(folder, Path.GetFileName(file)), overwrite: true);
        foreach (string file in ChatTemplateFiles.Further(source))
        {
            string copy = Path.Combine(folder, Path.GetRelativePath(source, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy, overwrite: true);
        }
    }
}
