using System.CommandLine;
using LowRank.Adapters;
using LowRank.Models;
using LowRank.Tasks;
using LowRank.Tensors;

namespace LowRank.Cli.Commands;

/// <summary>The options --model, --adapter and --device, and the model they open.</summary>
internal sealed class ModelOptions
{
    private readonly Option<string> model = new("--model") { Description = "Folder of the base model (config.json, safetensors weights, tokenizer files).", Required = true };
    private readonly Option<string?> adapter = new("--adapter") { Description = "Folder of a PEFT adapter to use with it." };
    private readonly Option<string> device = new("--device") { Description = "cpu, cuda, cuda:N or mps.", DefaultValueFactory = _ => "cpu" };

    /// <summary>Adds the options to a command.</summary>
    public ModelOptions AddTo(Command command, bool adapterRequired = false)
    {
        adapter.Required = adapterRequired;
        command.Add(model);
        command.Add(adapter);
        command.Add(device);
        return this;
    }

    /// <summary>The folder given as --model.</summary>
    public string Folder(ParseResult parsed) => parsed.GetRequiredValue(model);

    /// <summary>Opens the model for its adapter's task, or its own.</summary>
    public TaskModel OpenForTask(ParseResult parsed, string? task, Func<TaskSettings, TaskSettings> settings)
    {
        TaskModel opened = TaskModel.Open(Folder(parsed), parsed.GetValue(adapter), task, settings, Devices.Parse(parsed.GetRequiredValue(device)));
        foreach (string warning in opened.Adapter?.Warnings ?? []) Console.Error.WriteLine("warning: " + warning);
        return opened;
    }

    /// <summary>Opens the model, with the adapter attached if there is one; the caller disposes of both.</summary>
    public OpenedModel Open(ParseResult parsed)
    {
        HeadRequest? head = parsed.GetValue(adapter) is { } adapted ? AdapterHead.Request(adapted) : null;
        PretrainedModel opened = PretrainedModel.Open(Folder(parsed), Devices.Parse(parsed.GetRequiredValue(device)), head: head);
        try
        {
            Adapter? attached = parsed.GetValue(adapter) is { } folder ? Adapter.Load(folder, opened) : null;
            foreach (string warning in attached?.Warnings ?? []) Console.Error.WriteLine("warning: " + warning);
            attached?.Attach();
            return new OpenedModel(opened, attached);
        }
        catch
        {
            opened.Dispose();
            throw;
        }
    }
}
