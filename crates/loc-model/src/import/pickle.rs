//! Interprets a pickle as a description of objects. It calls nothing and loads nothing, and uses only a small multiple
//! of the pickle's size in memory. Other modules interpret the objects.
//!
//! Instructions: <https://github.com/python/cpython/blob/main/Lib/pickletools.py>.

use std::collections::HashMap;

use super::ImportError;
use super::reader::{Reader, Step};

/// The largest number of objects, and of references on stack and memo at one time; a tensor of a state dict takes about
/// ten.
const MAX_OBJECTS: usize = 1_000_000;
/// The largest number of items of tuples, lists and dicts in total; a tensor takes about twenty. One byte of a pickle
/// can add one item.
const MAX_ITEMS: usize = 2_000_000;

/// Index of an object in its [`Heap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(usize);

/// One object. It refers to others by index, so an object may occur many times, or inside itself, at no cost.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Object<'a> {
    None,
    Bool(bool),
    Int(i64),
    Text(&'a str),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A function or a class, by its name.
    Global {
        module: &'a str,
        name: &'a str,
    },
    /// The reference that `torch.save` writes in place of a storage.
    Persistent(Id),
    /// A call, which is not executed, and the state that its result would get.
    Call {
        callable: Id,
        args: Id,
        state: Option<Id>,
    },
    /// A number, bytes or a set, whose value is not needed.
    Other(&'static str),
}

/// All objects of a pickle.
#[derive(Debug)]
pub(super) struct Heap<'a> {
    objects: Vec<Object<'a>>,
    root: Id,
}

impl<'a> Heap<'a> {
    pub(super) fn root(&self) -> Id {
        self.root
    }

    pub(super) fn get(&self, id: Id) -> &Object<'a> {
        &self.objects[id.0]
    }

    /// Returns all objects, in the order in which they were built.
    pub(super) fn objects(&self) -> &[Object<'a>] {
        &self.objects
    }
}

/// Interprets the pickle up to its end.
pub(super) fn read(bytes: &[u8]) -> Result<Heap<'_>, ImportError> {
    read_prefix(bytes).map(|(heap, _)| heap)
}

/// Same as [`read`], and also returns the length of the pickle in bytes: others may follow.
pub(super) fn read_prefix(bytes: &[u8]) -> Result<(Heap<'_>, usize), ImportError> {
    let mut machine = Machine {
        input: Reader::new(bytes),
        objects: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        items: 0,
        memo: HashMap::new(),
    };
    loop {
        let offset = machine.input.offset();
        match machine.step().and_then(|root| machine.check_limits(root)) {
            Ok(None) => {}
            Ok(Some(root)) => {
                let length = machine.input.offset();
                return Ok((Heap { objects: machine.objects, root }, length));
            }
            Err(reason) => return Err(ImportError::Pickle { offset, reason }),
        }
    }
}

struct Machine<'a> {
    input: Reader<'a>,
    objects: Vec<Object<'a>>,
    stack: Vec<Id>,
    /// The stack heights at which open groups start.
    marks: Vec<usize>,
    /// The number of items added to tuples, lists and dicts so far.
    items: usize,
    memo: HashMap<u64, Id>,
}

impl<'a> Machine<'a> {
    /// Executes one instruction; the last one returns the remaining object.
    fn step(&mut self) -> Step<Option<Id>> {
        match self.input.byte()? {
            b'.' => return self.pop().map(Some),
            // Protocol and frame: nothing to do.
            op @ (0x80 | 0x95) => {
                self.input.take(if op == 0x80 { 1 } else { 8 })?;
            }
            b'N' => self.push(Object::None)?,
            0x88 => self.push(Object::Bool(true))?,
            0x89 => self.push(Object::Bool(false))?,
            b'K' => self.push_unsigned(1)?,
            b'M' => self.push_unsigned(2)?,
            b'J' => {
                let four = self.input.array()?;
                self.push(Object::Int(i32::from_le_bytes(four).into()))?;
            }
            0x8a => self.long(1)?,
            0x8b => self.long(4)?,
            b'G' => self.number(8)?,
            b'X' => self.text(4)?,
            0x8c => self.text(1)?,
            0x8d => self.text(8)?,
            b'T' => self.text(4)?,
            b'U' => self.text(1)?,
            b'B' => self.bytes(4)?,
            b'C' => self.bytes(1)?,
            0x8e | 0x96 => self.bytes(8)?,
            // The text instructions of protocol 0, in which hand-made pickles are often written.
            b'S' | b'V' | b'I' | b'L' | b'F' => {
                let line = Object::Text(self.input.line()?);
                self.push(line)?;
            }
            b'(' => self.marks.push(self.stack.len()),
            b'0' => {
                self.pop()?;
            }
            b'1' => {
                self.group()?;
            }
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            b')' => self.push(Object::Tuple(vec![]))?,
            op @ (0x85..=0x87) => {
                let items = self.pop_many(usize::from(op - 0x84))?;
                self.push(Object::Tuple(items))?;
            }
            b't' => {
                let items = self.group()?;
                self.push(Object::Tuple(items))?;
            }
            b']' => self.push(Object::List(vec![]))?,
            b'l' => {
                let items = self.group()?;
                self.push(Object::List(items))?;
            }
            b'a' => {
                let item = self.pop_many(1)?;
                self.extend_list(item)?;
            }
            b'e' => {
                let items = self.group()?;
                self.extend_list(items)?;
            }
            b'}' => self.push(Object::Dict(vec![]))?,
            op @ (b'd' | b's' | b'u') => {
                let items = if op == b's' { self.pop_many(2)? } else { self.group()? };
                if op == b'd' {
                    self.push(Object::Dict(vec![]))?;
                }
                self.extend_dict(&items)?;
            }
            0x90 => {
                self.group()?;
                self.top()?;
            }
            op @ (0x8f | 0x91) => {
                if op == 0x91 {
                    self.group()?;
                }
                self.push(Object::Other("a set"))?;
            }
            b'c' => {
                let (module, name) = (self.input.line()?, self.input.line()?);
                self.push(Object::Global { module, name })?;
            }
            0x93 => {
                let names = self.pop_many(2)?;
                let (Object::Text(module), Object::Text(name)) =
                    (self.object(names[0]), self.object(names[1]))
                else {
                    return Err("a global whose name is not text".into());
                };
                let (module, name) = (*module, *name);
                self.push(Object::Global { module, name })?;
            }
            op @ (b'R' | 0x81 | 0x92) => {
                let call = self.pop_many(if op == 0x92 { 3 } else { 2 })?;
                self.call(call[0], call[1])?;
            }
            b'i' => {
                let (module, name) = (self.input.line()?, self.input.line()?);
                let args = self.group()?;
                let callable = self.add(Object::Global { module, name })?;
                let args = self.add(Object::Tuple(args))?;
                self.call(callable, args)?;
            }
            b'o' => {
                let mut args = self.group()?;
                if args.is_empty() {
                    return Err("an object without a class".into());
                }
                let callable = args.remove(0);
                let args = self.add(Object::Tuple(args))?;
                self.call(callable, args)?;
            }
            b'b' => {
                let given = self.pop()?;
                let top = self.top()?;
                // For a dict these are attributes (`_metadata` of a state dict), not items.
                if let Object::Call { state, .. } = &mut self.objects[top.0] {
                    *state = Some(given);
                }
            }
            b'Q' => {
                let id = self.pop()?;
                self.push(Object::Persistent(id))?;
            }
            b'q' => self.put(1)?,
            b'r' => self.put(4)?,
            0x94 => {
                let top = self.top()?;
                self.memo.insert(self.memo.len() as u64, top);
            }
            b'h' => self.fetch(1)?,
            b'j' => self.fetch(4)?,
            op => return Err(format!("an instruction ({op:#04x}) that PyTorch does not write")),
        }
        Ok(None)
    }

    fn object(&self, id: Id) -> &Object<'a> {
        &self.objects[id.0]
    }

    /// Returns an error if there are too many references on the stack, on open groups and in the memo, or too many
    /// items: one byte of a pickle can add one.
    fn check_limits(&self, root: Option<Id>) -> Step<Option<Id>> {
        if self.stack.len() + self.marks.len() + self.memo.len() > MAX_OBJECTS {
            return Err(format!("more than {MAX_OBJECTS} objects at one time"));
        }
        if self.items > MAX_ITEMS {
            return Err(format!("more than {MAX_ITEMS} items in tuples, lists and dicts"));
        }
        Ok(root)
    }

    fn add(&mut self, object: Object<'a>) -> Step<Id> {
        if let Object::Tuple(items) | Object::List(items) = &object {
            self.items += items.len();
        }
        if self.objects.len() >= MAX_OBJECTS {
            return Err(format!("more than {MAX_OBJECTS} objects"));
        }
        self.objects.push(object);
        Ok(Id(self.objects.len() - 1))
    }

    fn push(&mut self, object: Object<'a>) -> Step<()> {
        let id = self.add(object)?;
        self.stack.push(id);
        Ok(())
    }

    /// Returns the stack height at which the innermost open group starts.
    fn group_start(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop_many(&mut self, n: usize) -> Step<Vec<Id>> {
        match self.stack.len().checked_sub(n) {
            Some(height) if height >= self.group_start() => Ok(self.stack.split_off(height)),
            _ => Err("pops an object from an empty stack".into()),
        }
    }

    fn pop(&mut self) -> Step<Id> {
        self.pop_many(1).map(|ids| ids[0])
    }

    fn top(&self) -> Step<Id> {
        match self.stack.last() {
            Some(&id) if self.stack.len() > self.group_start() => Ok(id),
            _ => Err("uses the top of an empty stack".into()),
        }
    }

    /// Closes the innermost group and returns its objects.
    fn group(&mut self) -> Step<Vec<Id>> {
        let height = self.marks.pop().ok_or("ends a group that was not started")?;
        Ok(self.stack.split_off(height))
    }

    fn extend_list(&mut self, items: Vec<Id>) -> Step<()> {
        let top = self.top()?;
        self.items += items.len();
        match &mut self.objects[top.0] {
            Object::List(list) => list.extend(items),
            // A list or a deque of another class: its content is not needed.
            Object::Call { .. } | Object::Other(_) => {}
            _ => return Err("appends to an object that is not a list".into()),
        }
        Ok(())
    }

    fn extend_dict(&mut self, items: &[Id]) -> Step<()> {
        if !items.len().is_multiple_of(2) {
            return Err("sets a key without a value".into());
        }
        let top = self.top()?;
        self.items += items.len();
        match &mut self.objects[top.0] {
            Object::Dict(dict) => dict.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1]))),
            Object::Call { .. } => {}
            _ => return Err("sets an item of an object that is not a dict".into()),
        }
        Ok(())
    }

    /// Records a call without executing it. An ordered dict is treated as a dict.
    fn call(&mut self, callable: Id, args: Id) -> Step<()> {
        let empty = matches!(self.object(args), Object::Tuple(args) if args.is_empty());
        let dict = match self.object(callable) {
            Object::Global { module: "collections", name: "OrderedDict" } => empty,
            Object::Global { module: "collections", name: "defaultdict" } => true,
            _ => false,
        };
        self.push(if dict { Object::Dict(vec![]) } else { Object::Call { callable, args, state: None } })
    }

    fn put(&mut self, width: usize) -> Step<()> {
        let key = self.input.unsigned(width)?;
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn fetch(&mut self, width: usize) -> Step<()> {
        let key = self.input.unsigned(width)?;
        let id = self.memo.get(&key).ok_or_else(|| format!("uses memo entry {key}, which does not exist"))?;
        self.stack.push(*id);
        Ok(())
    }

    fn push_unsigned(&mut self, width: usize) -> Step<()> {
        let value = self.input.unsigned(width)?;
        self.push(i64::try_from(value).map_or(Object::Other("a large number"), Object::Int))
    }

    /// Reads a signed little-endian number preceded by its length.
    fn long(&mut self, width: usize) -> Step<()> {
        let bytes = self.input.sized(width)?;
        if bytes.len() > 8 {
            return self.push(Object::Other("a large number"));
        }
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut eight = if negative { [0xff; 8] } else { [0; 8] };
        eight[..bytes.len()].copy_from_slice(bytes);
        self.push(Object::Int(i64::from_le_bytes(eight)))
    }

    fn text(&mut self, width: usize) -> Step<()> {
        let bytes = self.input.sized(width)?;
        let text = std::str::from_utf8(bytes).map_err(|_| "text that is not UTF-8")?;
        self.push(Object::Text(text))
    }

    fn number(&mut self, width: usize) -> Step<()> {
        self.input.take(width)?;
        self.push(Object::Other("a number"))
    }

    fn bytes(&mut self, width: usize) -> Step<()> {
        self.input.sized(width)?;
        self.push(Object::Other("bytes"))
    }
}
