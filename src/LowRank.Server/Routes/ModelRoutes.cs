using LowRank.Server.Requests;
using LowRank.Server.Responses;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

namespace LowRank.Server.Routes;

/// <summary>GET /v1/models and /v1/models/{id}; POST /v1/load_lora_adapter and /v1/unload_lora_adapter.</summary>
internal static class ModelRoutes
{
    private const string Owner = "lowrank";

    public static void Map(IEndpointRouteBuilder routes, Api api, AdapterFolders folders)
    {
        api.Get(routes, "/v1/models", List);
        api.Get(routes, "/v1/models/{**id}", One);
        api.Post(routes, "/v1/load_lora_adapter", call => Load(call, folders));
        api.Post(routes, "/v1/unload_lora_adapter", Unload);
    }

    private static IEnumerable<ModelCard> Cards(ServedModel served) =>
    [
        new ModelCard(served.Name, "model", served.Created, Owner, served.Model.Name, null, served.Context),
        .. served.Adapters.Select(adapter => new ModelCard(
            adapter.Name, "model", served.Created, Owner, adapter.Folder, served.Name, served.Context)),
    ];

    private static Task List(Call call) =>
        call.Answer(new ModelList("list", [.. Cards(call.Served)]), ServerJson.Own.ModelList);

    private static Task One(Call call)
    {
        string id = call.Http.Request.RouteValues["id"]?.ToString() ?? "";
        if (id.Length == 0) return List(call); // /v1/models/ is /v1/models
        return call.Answer(Cards(call.Served).FirstOrDefault(card => card.Id == id)
            ?? throw ApiException.UnknownModel(RequestFields.Shortened(id)), ServerJson.Own.ModelCard);
    }

    private static async Task Load(Call call, AdapterFolders folders)
    {
        RequireAllowed(call);
        string name = Name(call), path = call.Fields.RequiredText("lora_path");
        bool replace = call.Fields.Flag("load_inplace") ?? false;
        call.Fields.Accept("base_model_name");
        call.Fields.End();
        string folder = folders.Find(path);
        try
        {
            await call.Served.AddAsync(new NamedAdapter(name, folder), replace, call.Left).ConfigureAwait(false);
        }
        catch (InputException refused)
        {
            throw ApiException.Invalid(refused.Message, "lora_path", "invalid_adapter");
        }
        call.Options.Logger.AdapterLoaded(name, folder);
        await call.Answer($"Success: LoRA adapter '{name}' added successfully.", ServerJson.Own.String)
            .ConfigureAwait(false);
    }

    private static async Task Unload(Call call)
    {
        RequireAllowed(call);
        string name = Name(call);
        call.Fields.Accept("lora_int_id");
        call.Fields.End();
        await call.Served.RemoveAsync(name, call.Left).ConfigureAwait(false);
        call.Options.Logger.AdapterUnloaded(name);
        await call.Answer($"Success: LoRA adapter '{name}' removed successfully.", ServerJson.Own.String)
            .ConfigureAwait(false);
    }

    private static string Name(Call call)
    {
        string name = call.Fields.RequiredText("lora_name");
        if (call.Fields.Has("lora_name") && !NamedAdapter.IsName(name))
            call.Fields.Problem("lora_name", "expected 1 to 128 letters, digits, and - _ . / : without blanks");
        return name;
    }

    private static void RequireAllowed(Call call)
    {
        if (!call.Options.AllowAdapterLoading)
            throw new ApiException(StatusCodes.Status403Forbidden, ApiException.InvalidRequest,
                "This server does not load adapters while it runs.", null, "adapter_loading_off");
    }
}
