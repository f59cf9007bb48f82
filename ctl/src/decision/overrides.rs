//! The administrator's layer over the options of a build: what a command line changes in it, and the options with it.

use nixos_nspawn_units::intent::{Container, Overrides, parse_data};
use serde_json::{Map, Value, json};

/// What a command line changes in the layer, in the order in which it is done.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct OverrideChanges {
    /// Options that the layer no longer has.
    pub(crate) unset: Vec<String>,
    /// Options with their values.
    pub(crate) set: Vec<(String, Given)>,
    /// Lists with a further value.
    pub(crate) add: Vec<(String, Given)>,
}

/// A value of a command line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Given {
    /// A text whose meaning follows from the option: JSON, or a string, or an item of a list.
    Text(String),
    /// The value itself.
    Value(Value),
}

/// The options that the system inside depends on, which a layer of the host cannot change.
const INSIDE: [&str; 9] = [
    "containerNetworkConfig",
    "mountDaemonSocket",
    "namespacePath",
    "network",
    "nspawnConfig.Exec.PrivateUsers",
    "nspawnConfig.Network.NamespacePath",
    "nspawnConfig.Network.Private",
    "userNamespacing",
    "sharedNix",
];

/// The layer as values.
struct Layer {
    set: Map<String, Value>,
    add: Map<String, Value>,
}

impl Layer {
    fn of(recorded: &Overrides) -> Self {
        Self { set: recorded.set.object(), add: recorded.add.object() }
    }
}

/// Returns the layer after the changes, or why there can be none.
pub(crate) fn changed(old: &Overrides, changes: &OverrideChanges) -> Result<Overrides, String> {
    let mut layer = Layer::of(old);
    for option in &changes.unset {
        unset(&mut layer, option)?;
    }
    let mut lists: Vec<&String> = Vec::new();
    for (option, given) in &changes.set {
        possible(option)?;
        let value = value(option, given)?;
        // What is below it is replaced with it.
        layer.add.retain(|other, _| other != option && !is_below(other, option));
        layer.set.retain(|other, _| !is_below(other, option));
        match (value, layer.set.get_mut(option)) {
            // One command line gives the items of a list one by one.
            (Value::Array(more), Some(Value::Array(items))) if lists.contains(&option) => items.extend(more),
            (value, _) => {
                layer.set.insert(option.clone(), value);
            }
        }
        lists.push(option);
    }
    for (option, given) in &changes.add {
        possible(option)?;
        let Value::Array(more) = value(option, given)? else {
            return Err(format!(
                "'{option}' is not a list, so nothing can be added to it; leave out the '+'"
            ));
        };
        let items = layer.add.entry(option.clone()).or_insert_with(|| json!([]));
        if let Value::Array(items) = items {
            let new: Vec<Value> = more.into_iter().filter(|item| !items.contains(item)).collect();
            items.extend(new);
        }
    }
    Ok(Overrides { set: layer.set.into(), add: layer.add.into() })
}

/// Takes an option, and all below it, out of the layer.
fn unset(layer: &mut Layer, option: &str) -> Result<(), String> {
    let before = layer.set.len() + layer.add.len();
    for part in [&mut layer.set, &mut layer.add] {
        part.retain(|other, _| other != option && !is_below(other, option));
    }
    if layer.set.len() + layer.add.len() < before {
        return Ok(());
    }
    let known: Vec<&str> = layer.set.keys().chain(layer.add.keys()).map(String::as_str).collect();
    Err(match known.is_empty() {
        true => format!("'{option}' is not overridden, and nothing else is"),
        false => format!("'{option}' is not overridden; these are: {}", known.join(", ")),
    })
}

fn is_below(option: &str, other: &str) -> bool {
    option.strip_prefix(other).is_some_and(|rest| rest.starts_with('.'))
}

/// Refuses options that the system inside depends on.
fn possible(option: &str) -> Result<(), String> {
    if option.split('.').any(str::is_empty) {
        return Err(format!("'{option}' is not an option"));
    }
    if ["declarative", "version"].contains(&option) {
        return Err(format!("'{option}' is not an option to set"));
    }
    let inside = INSIDE.iter().any(|own| *own == option || is_below(option, own) || is_below(own, option));
    match inside {
        true => Err(format!(
            "'{option}' also changes the system inside, so it cannot be set on the host alone; \
             set it in the container's configuration"
        )),
        false => Ok(()),
    }
}

/// Returns the value that is meant, as the option takes it.
fn value(option: &str, given: &Given) -> Result<Value, String> {
    let fits = |value: Value| {
        let layer = Layer { set: Map::from_iter([(option.to_owned(), value)]), add: Map::new() };
        laid_over(&layer, &Container::default()).map(|_| ())
    };
    let text = match given {
        Given::Value(value) => return fits(value.clone()).map(|()| value.clone()),
        Given::Text(text) => text,
    };
    let string = Value::from(text.as_str());
    let json = serde_json::from_str::<Value>(text).ok().filter(|value| !value.is_string());
    let mut candidates: Vec<Value> = json.clone().into_iter().chain([string]).collect();
    // An option that takes an empty list takes lists; some take a string as well.
    if fits(json!([])).is_ok() {
        candidates
            .extend(candidates.clone().into_iter().filter(|item| !item.is_array()).map(|item| json!([item])));
    }
    let mut why = None;
    for candidate in candidates {
        match fits(candidate.clone()) {
            Ok(()) => return Ok(candidate),
            Err(error) => {
                // The reason is that of the form the option has.
                let better = candidate.is_array() || why.is_none();
                why = if better { Some(error) } else { why };
            }
        }
    }
    Err(why.unwrap_or_default())
}

/// Returns the options of a build with the layer, or what is wrong with them.
pub(crate) fn over(layer: &Overrides, build: &Container) -> Result<Container, String> {
    if layer.is_empty() {
        return Ok(build.clone());
    }
    laid_over(&Layer::of(layer), build)
}

fn laid_over(layer: &Layer, build: &Container) -> Result<Container, String> {
    let mut options = serde_json::to_value(build).map_err(|error| error.to_string())?;
    for (option, value) in &layer.set {
        put(&mut options, option, value.clone())?;
    }
    for (option, more) in &layer.add {
        let mut items = match at(&options, option) {
            Some(Value::Array(items)) => items.clone(),
            None | Some(Value::Null) => Vec::new(),
            Some(_) => return Err(format!("'{option}' is not a list")),
        };
        let Value::Array(more) = more else { return Err(format!("'{option}': what is added is not a list")) };
        let new: Vec<Value> = more.iter().filter(|item| !items.contains(item)).cloned().collect();
        items.extend(new);
        put(&mut options, option, Value::Array(items))?;
    }
    put(&mut options, "version", json!(1))?;
    let read = parse_data(options.to_string().as_bytes());
    read.map(|reading| reading.container).map_err(|fault| match fault.field.as_str() {
        "" => fault.explained(),
        field => format!("'{field}': {}", fault.explained()),
    })
}

/// Returns the value at a path.
fn at<'a>(options: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(options, |value, key| value.get(key))
}

/// Puts a value at a path, into objects that are made where there is none.
fn put(options: &mut Value, path: &str, value: Value) -> Result<(), String> {
    let (parents, name) = path.rsplit_once('.').unwrap_or(("", path));
    let mut place = options;
    for key in parents.split('.').filter(|key| !key.is_empty()) {
        let Value::Object(fields) = place else { return Err(format!("'{path}' is not an option")) };
        place = fields.entry(key).or_insert_with(|| json!({}));
        if place.is_null() {
            *place = json!({});
        }
    }
    let Value::Object(fields) = place else { return Err(format!("'{path}' is not an option")) };
    fields.insert(name.to_owned(), value);
    Ok(())
}

/// Returns the layer as lines, `OPTION = VALUE` or `OPTION += VALUE`.
pub(crate) fn lines(recorded: &Overrides) -> Vec<String> {
    let layer = Layer::of(recorded);
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut lines = Vec::new();
    for (part, sign) in [(&layer.set, "="), (&layer.add, "+=")] {
        for (option, value) in part {
            match value {
                Value::Array(items) if !items.is_empty() => {
                    lines.extend(items.iter().map(|item| format!("{option} {sign} {}", text(item))));
                }
                other => lines.push(format!("{option} {sign} {}", text(other))),
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests;
